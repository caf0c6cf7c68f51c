package fp

// Class bits, one of which FCLASS sets in its result (unpriv §20.9).
const (
	ClassNegInf uint64 = 1 << iota
	ClassNegNormal
	ClassNegSubnormal
	ClassNegZero
	ClassPosZero
	ClassPosSubnormal
	ClassPosNormal
	ClassPosInf
	ClassSignalingNaN
	ClassQuietNaN
)

// Class64 is FCLASS.D.
func Class64(x uint64) uint64 { return binary64.class(x) }

// Class32 is FCLASS.S.
func Class32(x uint32) uint64 { return binary32.class(uint64(x)) }

func (f format) class(x uint64) uint64 {
	magnitude := x &^ f.sign()
	pick := func(neg, pos uint64) uint64 {
		if x != magnitude {
			return neg
		}
		return pos
	}
	switch {
	case f.isSignaling(x):
		return ClassSignalingNaN
	case f.isNaN(x):
		return ClassQuietNaN
	case magnitude == f.inf():
		return pick(ClassNegInf, ClassPosInf)
	case magnitude>>f.frac != 0:
		return pick(ClassNegNormal, ClassPosNormal)
	case magnitude != 0:
		return pick(ClassNegSubnormal, ClassPosSubnormal)
	}
	return pick(ClassNegZero, ClassPosZero)
}
