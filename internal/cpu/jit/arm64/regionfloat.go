package arm64

import "doppel/internal/cpu/jit/ir"

// regionFloat emits a floating-point Inst of a region, or returns false if it is
// none. FPCR and FPSR are the guest's since the region was entered.
func (e *Emitter) regionFloat(in *ir.Inst) bool {
	switch in.Op {
	case ir.FLoad:
		m := e.reaches(in)
		d := e.dstF(in.Dst)
		e.accessPlace([...]width{loadF32, loadF64}[in.Size>>3], d, m)
		e.putF(in.Size, in.Dst, d)
	case ir.FStore:
		m := e.reaches(in)
		e.accessPlace([...]width{storeF32, storeF64}[in.Size>>3], e.getF(V0, in.B), m)
	case ir.FSgnj, ir.FSgnjN, ir.FSgnjX, ir.FToX, ir.FFromX, ir.FConst:
		e.deopt(e.floatMove(in)...)
	case ir.FToI, ir.FToU:
		e.deopt(e.toInt(in)...)
	case ir.FRound:
		e.deopt(e.round(in)...)
	case ir.FCSRRead: // of fflags
		e.fflags()
		e.put(in.Dst, X1)
	case ir.FCSRWrite: // is Undone: the comparison has raised nothing
	case ir.FAdd, ir.FSub, ir.FMul, ir.FDiv, ir.FSqrt, ir.FMAdd, ir.FMSub, ir.FNMSub, ir.FNMAdd,
		ir.FMin, ir.FMax, ir.FMinM, ir.FMaxM, ir.FEq, ir.FLt, ir.FLe, ir.FLtQ, ir.FLeQ, ir.FFromI, ir.FFromU, ir.FToF, ir.FRoundNX:
		e.deopt(e.floatArith(in)...)
	default:
		return false
	}
	return true
}
