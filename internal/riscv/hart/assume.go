package hart

// Assume gives h the state of another hart, so that harts on different engines
// can take turns as one. What belongs to h's place stays: engine, memory,
// clock, the levels of its interrupt inputs, requested kicks and flushes. Its
// engine hears nothing: translations are the caller's. Neither hart is running.
func (h *Hart) Assume(o *Hart) {
	o.takeEdges()
	o.pmuSync()
	timer := h.CSR.Stimecmp != o.CSR.Stimecmp || h.CSR.Menvcfg != o.CSR.Menvcfg
	h.State = o.State
	h.Refresh()
	if timer {
		h.SetStimecmp(h.CSR.Stimecmp)
	}
}

// AssumeInputs gives h the levels of another hart's interrupt inputs.
func (h *Hart) AssumeInputs(o *Hart) {
	h.lines.Store(o.lines.Load())
	h.attend(attnInterrupt)
}
