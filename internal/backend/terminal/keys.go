package terminal

// escapeKey is Ctrl-A, which introduces the keys that are not the guest's.
const escapeKey = 0x01

// keys filters what the user types.
type keys struct {
	escaped bool
	quit    func()
	help    func()
}

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
	return out // any other key: as if nothing had been typed
}
