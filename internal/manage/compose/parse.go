package compose

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds how deep brackets nest: the parser calls itself for each.
const maxDepth = 32

// names are those that files, hosts and terminals can take.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

const nameForm = "a name has 1 to 63 letters, digits, dots, dashes and underscores, and begins with a letter or a digit"

// Parse reads a file; name is what errors call it.
func Parse(name string, data []byte, schema Schema) (*File, error) {
	f := &File{Name: name}
	root, err := f.root(data)
	if err != nil {
		return nil, err
	}
	r := reader{f, schema}
	if err := r.top(root); err != nil {
		return nil, err
	}
	return f, nil
}

// root is the mapping that the file is.
func (f *File) root(data []byte) (*ast.MappingNode, error) {
	if len(data) > MaxSize {
		return nil, f.Errorf(Pos{}, "is larger than %d KiB", MaxSize>>10)
	}
	if !utf8.Valid(data) {
		return nil, f.Errorf(Pos{}, "is not text in UTF-8")
	}
	if p, deep := tooDeep(data); deep {
		return nil, f.Errorf(p, "brackets nest deeper than %d levels", maxDepth)
	}
	file, err := f.parse(data)
	if err != nil {
		return nil, err
	}
	var docs []*ast.DocumentNode
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d)
		}
	}
	switch {
	case len(docs) == 0:
		return nil, f.Errorf(Pos{}, "describes no machine; it needs machines: and below it their names")
	case len(docs) > 1:
		return nil, f.Errorf(place(docs[1].Body), "a second document begins here; the file is one")
	}
	m, err := f.mapping(docs[0].Body, "the file")
	if err == nil && m == nil {
		err = f.Errorf(Pos{}, "describes no machine; it needs machines: and below it their names")
	}
	return m, err
}

// parse calls the parser, which is somebody else's and has panicked on files
// before: that is the file's fault, too.
func (f *File) parse(data []byte) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, f.Errorf(Pos{}, "is not YAML: the parser gave up")
		}
	}()
	file, err = parser.ParseBytes(data, 0)
	if err == nil {
		return file, nil
	}
	p, msg := Pos{}, "cannot be parsed"
	if e, ok := err.(interface {
		GetToken() *token.Token
		GetMessage() string
	}); ok {
		msg = e.GetMessage()
		if t := e.GetToken(); t != nil {
			p = position(t)
		}
	}
	return nil, f.Errorf(p, "is not YAML: %s", plain(msg))
}

// plain is a message in one line.
func plain(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	return s[:min(len(s), 200)]
}

// tooDeep finds brackets that nest too deep. It takes those in quotes and
// comments for brackets as well: no file that means something has so many.
func tooDeep(data []byte) (Pos, bool) {
	depth, p := 0, Pos{1, 0}
	for _, c := range data {
		p.Column++
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		case '\n':
			p = Pos{p.Line + 1, 0}
		}
		if depth > maxDepth {
			return p, true
		}
	}
	return p, indentsTooDeep(data)
}

// indentsTooDeep finds lines that open more levels than a file can have: each
// dash and question mark at the beginning of a line is one.
func indentsTooDeep(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		marks := 0
		for _, w := range strings.Fields(line) {
			if w != "-" && w != "?" {
				break
			}
			marks++
		}
		if marks > maxDepth || len(line)-len(strings.TrimLeft(line, " \t")) > 4*maxDepth {
			return true
		}
	}
	return false
}

func position(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{}
	}
	return Pos{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

func place(n ast.Node) Pos {
	if n == nil {
		return Pos{}
	}
	// A mapping's own token is the colon after its first key.
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return place(m.Values[0].Key)
	}
	return position(n.GetToken())
}

// mapping is a node as a mapping, nil if it is empty.
func (f *File) mapping(n ast.Node, what string) (*ast.MappingNode, error) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.MappingNode:
		return n, nil
	case *ast.MappingValueNode: // a mapping of one
		return ast.Mapping(n.Start, false, n), nil
	}
	return nil, f.unfit(n, what+" is a mapping: keys, each with a colon and a value")
}

// unfit says that a node is not what it should be.
func (f *File) unfit(n ast.Node, want string) error {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode, *ast.DirectiveNode:
		return f.Errorf(place(n), "anchors, aliases, tags and merges have no meaning here; use defaults: for what all machines share")
	}
	return f.Errorf(place(n), "%s", want)
}

// scalar is a node as text, just as it stands in the file: 0x10, 1e3 and no
// are not numbers or truths here but what the key makes of them.
func (f *File) scalar(n ast.Node, what string) (Value, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return Value{n.Value, place(n)}, nil
	case *ast.LiteralNode:
		return Value{strings.TrimRight(n.Value.Value, "\n"), place(n)}, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return Value{n.GetToken().Value, place(n)}, nil
	case nil, *ast.NullNode:
		return Value{}, f.Errorf(place(n), "%s has no value", what)
	}
	return Value{}, f.unfit(n, what+" has one value, not a list or a mapping (what has colons in it may need quotes)")
}

// entry is a key of a mapping and what belongs to it.
type entry struct {
	key   string
	pos   Pos
	value ast.Node
}

// entries lists a mapping's keys, of which none comes twice.
func (f *File) entries(m *ast.MappingNode) ([]entry, error) {
	if m == nil {
		return nil, nil
	}
	var all []entry
	for _, v := range m.Values {
		key, err := f.scalar(v.Key, "a key")
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(all, func(e entry) bool { return e.key == key.Text }); i >= 0 {
			return nil, f.Errorf(key.Pos, "%q is here twice; the first is in line %d", key.Text, all[i].pos.Line)
		}
		if _, null := v.Value.(*ast.NullNode); null {
			all = append(all, entry{key.Text, key.Pos, nil})
			continue
		}
		all = append(all, entry{key.Text, key.Pos, v.Value})
	}
	return all, nil
}

// reader fills a file in.
type reader struct {
	*File
	schema Schema
}

func (r *reader) top(root *ast.MappingNode) error {
	all, err := r.entries(root)
	if err != nil {
		return err
	}
	var defaults []Setting
	host := Keys{"name": Text, "networks": Text, "defaults": Text, "machines": Text}
	for k, v := range r.schema.Host {
		host[k] = v
	}
	for _, e := range all {
		if _, ok := host[e.key]; !ok {
			return r.Errorf(e.pos, "unknown key %q; the file has %s", plain(e.key), host.list())
		}
		switch e.key {
		case "name":
			v, err := r.scalar(orNull(e), "name")
			if err != nil {
				return err
			}
			if !names.MatchString(v.Text) {
				return r.Errorf(v.Pos, "name %q: %s", plain(v.Text), nameForm)
			}
			r.Title = v.Text
		case "networks":
			r.Networks, err = r.sections(e, "network", r.schema.Network)
		case "machines":
			r.Machines, err = r.sections(e, "machine", r.schema.Machine)
		case "defaults":
			var s Section
			s, err = r.section(e, "defaults", r.schema.Machine)
			defaults = s.Settings
		default:
			var s Setting
			s, err = r.setting(e, host[e.key])
			r.Host.Settings = append(r.Host.Settings, s)
		}
		if err != nil {
			return err
		}
	}
	if len(r.Machines) == 0 {
		return r.Errorf(Pos{}, "describes no machine; it needs machines: and below it their names")
	}
	for i := range r.Machines {
		m := &r.Machines[i]
		for _, d := range defaults {
			if m.Find(d.Key) == nil {
				m.Settings = append(m.Settings, d)
			}
		}
	}
	return nil
}

// orNull gives scalar something to say the place of.
func orNull(e entry) ast.Node {
	if e.value == nil {
		return ast.Null(&token.Token{Position: &token.Position{Line: e.pos.Line, Column: e.pos.Column}})
	}
	return e.value
}

// sections reads named mappings.
func (r *reader) sections(e entry, what string, keys Keys) ([]Section, error) {
	m, err := r.mapping(e.value, e.key)
	if err != nil {
		return nil, err
	}
	all, err := r.entries(m)
	if err != nil {
		return nil, err
	}
	var out []Section
	for _, e := range all {
		if !names.MatchString(e.key) {
			return nil, r.Errorf(e.pos, "%s %q: %s", what, plain(e.key), nameForm)
		}
		s, err := r.section(e, "a "+what, keys)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (r *reader) section(e entry, what string, keys Keys) (Section, error) {
	s := Section{Name: e.key, Pos: e.pos}
	m, err := r.mapping(e.value, e.key)
	if err != nil {
		return s, err
	}
	all, err := r.entries(m)
	if err != nil {
		return s, err
	}
	for _, e := range all {
		kind, ok := keys[e.key]
		if !ok {
			return s, r.Errorf(e.pos, "unknown key %q; %s has %s", plain(e.key), what, keys.list())
		}
		set, err := r.setting(e, kind)
		if err != nil {
			return s, err
		}
		s.Settings = append(s.Settings, set)
	}
	return s, nil
}

func (r *reader) setting(e entry, kind Kind) (Setting, error) {
	s := Setting{Key: e.key, Pos: e.pos}
	list, isList := e.value.(*ast.SequenceNode)
	if !isList || kind == Text || kind == Bool {
		v, err := r.value(orNull(e), e.key, kind)
		s.Values = []Value{v}
		return s, err
	}
	for _, n := range list.Values {
		v, err := r.value(n, e.key, kind)
		if err != nil {
			return s, err
		}
		s.Values = append(s.Values, v)
	}
	return s, nil
}

func (r *reader) value(n ast.Node, key string, kind Kind) (Value, error) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		if kind == Options {
			return r.options(n, key)
		}
	}
	v, err := r.scalar(n, key)
	if err == nil && kind == Bool && v.Text != "true" && v.Text != "false" {
		err = r.Errorf(v.Pos, "%s %q: must be true or false", key, plain(v.Text))
	}
	return v, err
}

// options writes a mapping of options as flags have them: switch=a,vlan=10.
// The one called switch comes first, and user stands there if there is none.
func (r *reader) options(n ast.Node, key string) (Value, error) {
	m, err := r.mapping(n, key)
	if err != nil {
		return Value{}, err
	}
	all, err := r.entries(m)
	if err != nil {
		return Value{}, err
	}
	first, rest := "user", []string{}
	for _, e := range all {
		text, err := r.option(e)
		switch {
		case err != nil:
			return Value{}, err
		case strings.ContainsAny(e.key+text, ",="):
			return Value{}, r.Errorf(e.pos, "%s %q: commas and equals signs cannot stand here", plain(e.key), plain(text))
		case e.key == "switch":
			first = "switch=" + text
		case text == "true":
			rest = append(rest, e.key)
		case text != "false":
			rest = append(rest, e.key+"="+text)
		}
	}
	return Value{strings.Join(append([]string{first}, rest...), ","), place(n)}, nil
}

// option is one value, or several joined by +.
func (r *reader) option(e entry) (string, error) {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		v, err := r.scalar(orNull(e), e.key)
		return v.Text, err
	}
	var all []string
	for _, n := range list.Values {
		v, err := r.scalar(n, e.key)
		if err != nil {
			return "", err
		}
		all = append(all, v.Text)
	}
	return strings.Join(all, "+"), nil
}
