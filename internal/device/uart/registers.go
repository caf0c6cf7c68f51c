package uart

// Register offsets (PC16550D data sheet, table II).
const (
	regRBR = 0 // receiver buffer (read)
	regTHR = 0 // transmitter holding (write)
	regIER = 1 // interrupt enable
	regIIR = 2 // interrupt identification (read)
	regFCR = 2 // FIFO control (write)
	regLCR = 3 // line control
	regMCR = 4 // modem control
	regLSR = 5 // line status
	regMSR = 6 // modem status
	regSCR = 7 // scratch
	regDLL = 0 // divisor latch, low byte (LCR.DLAB = 1)
	regDLM = 1 // divisor latch, high byte (LCR.DLAB = 1)
)

const (
	ierReceive    = 1 << 0
	ierTransmit   = 1 << 1
	ierLineStatus = 1 << 2
	ierModem      = 1 << 3
	ierMask       = 0x0f

	// IIR values, from the highest priority (data sheet, table IV).
	iirLineStatus = 0x06
	iirReceive    = 0x04
	iirTimeout    = 0x0c
	iirTransmit   = 0x02
	iirModem      = 0x00
	iirNone       = 0x01
	iirFIFOs      = 0xc0

	fcrEnable       = 1 << 0
	fcrClearRX      = 1 << 1
	fcrClearTX      = 1 << 2
	fcrDMA          = 1 << 3
	fcrTriggerShift = 6
	fcrMask         = fcrEnable | fcrDMA | 3<<fcrTriggerShift // what is kept: the clear bits clear themselves

	lcrDLAB = 1 << 7

	mcrDTR  = 1 << 0
	mcrRTS  = 1 << 1
	mcrOut1 = 1 << 2
	mcrOut2 = 1 << 3
	mcrLoop = 1 << 4
	mcrMask = 0x1f

	lsrDR     = 1 << 0
	lsrOE     = 1 << 1
	lsrPE     = 1 << 2
	lsrFE     = 1 << 3
	lsrBI     = 1 << 4
	lsrTHRE   = 1 << 5
	lsrTEMT   = 1 << 6
	lsrErrors = lsrOE | lsrPE | lsrFE | lsrBI

	msrDCTS   = 1 << 0
	msrDDSR   = 1 << 1
	msrTERI   = 1 << 2
	msrDDCD   = 1 << 3
	msrDeltas = 0x0f
	msrCTS    = 1 << 4
	msrDSR    = 1 << 5
	msrRI     = 1 << 6
	msrDCD    = 1 << 7
)

// Read implements device.Device. Registers are bytes; a wider access reads the
// register in its lowest byte, as a bus that ignores byte enables does.
func (u *UART) Read(off uint64, size int) (uint64, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	v := u.read(off)
	u.update()
	return uint64(v), true
}

func (u *UART) read(off uint64) uint8 {
	dlab := u.lcr&lcrDLAB != 0
	switch {
	case off == regDLL && dlab:
		return u.dll
	case off == regDLM && dlab:
		return u.dlm
	case off == regRBR:
		return u.readRBR()
	case off == regIER:
		return u.ier
	case off == regIIR:
		return u.readIIR()
	case off == regLCR:
		return u.lcr
	case off == regMCR:
		return u.mcr
	case off == regLSR:
		return u.readLSR()
	case off == regMSR:
		v := u.modemLevels() | u.msr
		u.msr = 0
		return v
	case off == regSCR:
		return u.scr
	}
	return 0
}

func (u *UART) readIIR() uint8 {
	id := u.interruptID()
	if id == iirTransmit {
		u.thrPending = false // reading IIR acknowledges this source only
	}
	if u.fifoEnabled() {
		return id | iirFIFOs
	}
	return id
}

func (u *UART) readLSR() uint8 {
	u.poll()
	v := u.lsr
	u.lsr = 0
	if u.dataReady() {
		v |= lsrDR
	}
	if u.tx.n == 0 {
		v |= lsrTHRE | lsrTEMT
	}
	return v
}

// modemLevels are the modem inputs: a peer that is there and ready, or in
// loop-back the modem outputs.
func (u *UART) modemLevels() uint8 { return modemLevels(u.mcr) }

func modemLevels(mcr uint8) uint8 {
	if mcr&mcrLoop == 0 {
		return msrDCD | msrDSR | msrCTS
	}
	var v uint8
	for _, m := range [...]struct{ out, in uint8 }{{mcrRTS, msrCTS}, {mcrDTR, msrDSR}, {mcrOut1, msrRI}, {mcrOut2, msrDCD}} {
		if mcr&m.out != 0 {
			v |= m.in
		}
	}
	return v
}

// Write implements device.Device.
func (u *UART) Write(off uint64, size int, val uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.write(off, uint8(val))
	u.update()
	return true
}

func (u *UART) write(off uint64, v uint8) {
	dlab := u.lcr&lcrDLAB != 0
	switch {
	case off == regDLL && dlab:
		u.dll = v
	case off == regDLM && dlab:
		u.dlm = v
	case off == regTHR:
		u.writeTHR(v)
	case off == regIER:
		u.writeIER(v)
	case off == regFCR:
		u.writeFCR(v)
	case off == regLCR:
		u.lcr = v
	case off == regMCR:
		u.writeMCR(v)
	case off == regSCR:
		u.scr = v
	}
}

func (u *UART) writeTHR(v uint8) {
	u.thrPending = false
	if u.mcr&mcrLoop != 0 {
		u.loopBack(v)
		u.thrPending = true
		return
	}
	depth := 1
	if u.fifoEnabled() {
		depth = fifoSize
	}
	if u.tx.n < depth { // a full FIFO loses the byte: the driver did not look at THRE
		u.tx.push(v)
	}
	u.transmit()
}

// loopBack receives a byte that was sent; without room it is an overrun.
func (u *UART) loopBack(v uint8) {
	if u.rx.n >= u.rxDepth() {
		u.lsr |= lsrOE
		return
	}
	u.rx.push(v)
	u.armTimeout()
}

func (u *UART) writeIER(v uint8) {
	old := u.ier
	u.ier = v & ierMask
	// Enabling the interrupt while the transmitter is empty raises it; drivers
	// start their transmission so.
	if old&ierTransmit == 0 && u.ier&ierTransmit != 0 && u.tx.n == 0 {
		u.thrPending = true
	}
	u.receive()
}

func (u *UART) writeFCR(v uint8) {
	changed := (v^u.fcr)&fcrEnable != 0 // data sheet §8.3: a mode change clears both FIFOs
	clearRX := changed || v&fcrClearRX != 0
	clearTX := changed || v&fcrClearTX != 0
	if v&fcrEnable == 0 { // the other bits are not programmed without it
		v = 0
	}
	u.fcr = v & fcrMask
	if clearRX {
		u.rx = fifo{}
		u.armTimeout()
	}
	if clearTX {
		u.tx = fifo{}
		u.thrPending = true
	}
	u.receive()
}

func (u *UART) writeMCR(v uint8) {
	before := u.modemLevels()
	u.mcr = v & mcrMask
	after := u.modemLevels()
	change := before ^ after
	u.msr |= change >> 4 & (msrDCTS | msrDDSR | msrDDCD)
	if before&msrRI != 0 && after&msrRI == 0 { // TERI is the trailing edge only
		u.msr |= msrTERI
	}
	u.transmit()
	u.receive()
}
