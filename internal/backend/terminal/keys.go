package terminal

// escapeKey is Ctrl-A, which introduces the keys that are not the guest's.
const escapeKey = 0x01

// keys filters what the user types.
type keys struct {
	escaped bool
	quit    func()
	help    func()
	choose  func(Choice) // nil with one machine only
}

// Choice is which machine of several the input is to go to.
type Choice uint8

const (
	Next Choice = iota
	Previous
	All
)

func (c Choice) String() string {
	switch c {
	case Next:
		return "next"
	case Previous:
		return "previous"
	}
	return "all"
}

const chooseText = "Ctrl-A n  type to the next machine (Ctrl-A p: to the one before)\r\n" +
	"Ctrl-A b  type to all machines\r\n"

const helpText = "\r\nCtrl-A x  quit: switch the machine off at once\r\n" +
	"Ctrl-A h  this help\r\n" +
	"Ctrl-A Ctrl-A (or Ctrl-A a)  send Ctrl-A to the guest\r\n"

// filter returns the bytes that are the guest's, in p's memory.
func (k *keys) filter(p []byte) []byte {
	out := p[:0]
	for _, b := range p {
		switch {
		case !k.escaped && b == escapeKey:
			k.escaped = true
		case !k.escaped:
			out = append(out, b)
		default:
			k.escaped = false
			out = k.command(out, b)
		}
	}
	return out
}

func (k *keys) command(out []byte, b byte) []byte {
	switch b {
	case 'x', 'X':
		k.quit()
	case 'h', 'H', '?':
		k.help()
	case 'a', escapeKey:
		return append(out, escapeKey)
	}
	if k.choose != nil {
		switch b {
		case 'n', 'N':
			k.choose(Next)
		case 'p', 'P':
			k.choose(Previous)
		case 'b', 'B':
			k.choose(All)
		}
	}
	return out // any other key: as if nothing had been typed
}
