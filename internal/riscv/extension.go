package riscv

// Extension is a part of the instruction set that a hart may have or lack.
type Extension uint8

const (
	ExtNone Extension = iota
	ExtI
	ExtM
	ExtA
	ExtF
	ExtD
	ExtC
	ExtZicsr
	ExtZifencei
	ExtZba
	ExtZbb
	ExtZbc
	ExtZbs
	ExtZbkb
	ExtZicond
	ExtZawrs
	ExtZacas
	ExtZihintpause
	ExtZicbom
	ExtZicbop
	ExtZicboz
	ExtZimop
	ExtZcmop
	ExtZcb
	ExtZfa
	ExtZfhmin
	ExtSvinval
	ExtPriv // instructions of the privileged architecture itself
)

var extensionNames = [...]string{"none", "I", "M", "A", "F", "D", "C", "Zicsr", "Zifencei", "Zba", "Zbb", "Zbc", "Zbs",
	"Zbkb", "Zicond", "Zawrs", "Zacas", "Zihintpause", "Zicbom", "Zicbop", "Zicboz", "Zimop", "Zcmop", "Zcb", "Zfa",
	"Zfhmin", "Svinval", "Priv"}

// String returns the name as the manual spells it.
func (e Extension) String() string {
	if int(e) < len(extensionNames) {
		return extensionNames[e]
	}
	return "extension?"
}
