package webadmin

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the form of one rule: rows of conditions and of actions, which buttons of the form add and take
// away, also without the script.

// ruleForm is the page of one rule.
type ruleForm struct {
	Base, Old             string // the name that the rule is stored with; empty for a new one
	Was                   string // the rule as it was when the form was drawn
	Name, Comment         string
	Priorities            []choice
	Conditions, Actions   []clauseRow
	Error, Other          string
	Fixed                 bool
	Query                 string // of the address of the form
	ConditionWords, Words []rules.Word
	Command               string

	priority int
	level    rules.Level
}

// clauseRow is a condition or an action of the form.
type clauseRow struct {
	Prefix                string // of the names of its fields: c.0
	Opcode, How, Param    string
	Raw                   string // as the stored rule has it
	Opcodes, Hows         []wordChoice
	Help                  string
	Error                 string
	Bare, Several, Action bool
	Number                int
}

// wordChoice is an option of the menu of conditions, actions or operations.
type wordChoice struct {
	Value string
	Here  bool
	Help  string // of an opcode
	Hows  string // the operations that it has, with | between
	Bare  bool
}

// ruleDraft is an empty form.
func (c *call) ruleDraft() *ruleForm {
	s := c.ruleSet()
	return &ruleForm{Base: s.base, level: s.level, Fixed: !c.may(s.change), priority: 5, Command: s.command,
		ConditionWords: rules.ConditionWords(s.level), Words: rules.ActionWords(s.level)}
}

// storedRule fills the form with a stored rule. One that is no rule is for the page of the text.
func (f *ruleForm) stored(v dataformat.Value) error {
	parts, _ := v.(dataformat.Array)
	if len(parts) < 4 {
		return fault.New("webadmin.Rule", fault.Invalid, "this rule cannot be read; change it as text")
	}
	f.Old, f.Name, f.Was = ruleName(v), ruleName(v), dataformat.Compact(v)
	f.priority = int(priorityOf(v))
	if len(parts) > 4 {
		f.Comment, _ = dataformat.Text(parts[4])
	}
	f.Conditions, f.Actions = clauseRows(parts[2], false), clauseRows(parts[3], true)
	return nil
}

func clauseRows(v dataformat.Value, action bool) (rows []clauseRow) {
	list, _ := v.(dataformat.Array)
	for _, one := range list {
		rows = append(rows, clauseRowOf(one, action))
	}
	return rows
}

func clauseRowOf(v dataformat.Value, action bool) clauseRow {
	parts, _ := v.(dataformat.Array)
	text := func(i int) string {
		if i >= len(parts) {
			return ""
		}
		t, _ := dataformat.Text(parts[i])
		if t == "---" {
			return ""
		}
		return t
	}
	row := clauseRow{Raw: dataformat.Compact(v), Action: action}
	if action {
		row.Opcode, row.Param = rules.ActionName(text(0)), text(1)
	} else {
		row.Opcode, row.How, row.Param = rules.ConditionName(text(0)), strings.ToLower(text(1)), text(2)
	}
	return row
}

// posted fills the form with what was typed.
func (c *call) posted(f *ruleForm) {
	f.Old, f.Was = c.field("old"), c.field("was")
	f.Name, f.Comment = strings.TrimSpace(c.field("name")), strings.TrimSpace(c.field("comment"))
	f.priority, _ = strconv.Atoi(c.field("priority"))
	f.Conditions, f.Actions = c.postedRows("c", false), c.postedRows("a", true)
}

func (c *call) postedRows(kind string, action bool) (rows []clauseRow) {
	for i := range rules.MaxClauses + 2 {
		prefix := kind + "." + strconv.Itoa(i)
		if !c.r.PostForm.Has(prefix + ".op") {
			break
		}
		rows = append(rows, clauseRow{Prefix: prefix, Opcode: c.field(prefix + ".op"), How: c.field(prefix + ".how"), Param: c.field(prefix + ".param"),
			Raw: c.field(prefix + ".raw"), Action: action})
	}
	return rows
}

// draw completes the form and shows it, with a row for one more condition and action.
func (c *call) drawRule(status int, f *ruleForm) error {
	f.Priorities = c.priorities(f.priority)
	if !f.Fixed {
		f.Conditions, f.Actions = withBlank(f.Conditions, false), withBlank(f.Actions, true)
	}
	for i := range f.Conditions {
		c.completeRow(&f.Conditions[i], f.ConditionWords, "c", i)
	}
	for i := range f.Actions {
		c.completeRow(&f.Actions[i], f.Words, "a", i)
	}
	title := f.Old
	if title == "" {
		title = c.T("New Rule")
	}
	return c.show(status, "rule", title, f)
}

func withBlank(rows []clauseRow, action bool) []clauseRow {
	if len(rows) > 0 && rows[len(rows)-1].Opcode == "" {
		return rows
	}
	return append(rows, clauseRow{Action: action})
}

func (c *call) completeRow(row *clauseRow, words []rules.Word, kind string, i int) {
	row.Prefix, row.Number = kind+"."+strconv.Itoa(i), i+1
	row.Several = strings.Contains(row.Param, "\n") || row.Action
	known := row.Opcode == ""
	for _, w := range words {
		here := w.Name == row.Opcode
		help := c.T(w.Help)
		if w.Later != "" {
			help += " (" + c.T("does nothing yet") + ")"
		}
		if here {
			row.Help, row.Bare, known = help, w.Bare, true
		}
		row.Opcodes = append(row.Opcodes, wordChoice{Value: w.Name, Here: here, Help: help, Hows: strings.Join(w.Operations, "|"), Bare: w.Bare})
	}
	if !known {
		row.Opcodes = append(row.Opcodes, wordChoice{Value: row.Opcode, Here: true})
	}
	if !row.Action {
		for _, op := range rules.OperationNames() {
			row.Hows = append(row.Hows, wordChoice{Value: op, Here: op == row.How})
		}
	}
}

func (c *call) rulePage() error {
	f := c.ruleDraft()
	name := c.r.URL.Query().Get("rule")
	if name == "" {
		return c.drawRule(http.StatusOK, f)
	}
	list, err := c.ruleSet().get()
	if err != nil {
		return err
	}
	i := findRule(list, name)
	if i < 0 {
		return noRule(name)
	}
	if err := f.stored(list[i]); err != nil {
		return err
	}
	return c.drawRule(http.StatusOK, f)
}

// changeRows draws the form again with a row more or less: add is c or a, drop the prefix of a row.
func (c *call) changeRows() error {
	f := c.ruleDraft()
	c.posted(f)
	query := c.r.URL.Query()
	drop := func(rows []clauseRow) []clauseRow {
		return slices.DeleteFunc(rows, func(r clauseRow) bool { return r.Prefix == query.Get("drop") })
	}
	f.Conditions, f.Actions = drop(f.Conditions), drop(f.Actions)
	switch query.Get("add") {
	case "c":
		f.Conditions = append(f.Conditions, clauseRow{})
	case "a":
		f.Actions = append(f.Actions, clauseRow{Action: true})
	}
	return c.drawRule(http.StatusOK, f)
}

// value is the rule of the form in the array form, and the rows of the form by the numbers of the clauses. What has
// not changed stays as it is written.
func (f *ruleForm) value() (v dataformat.Array, conditions, actions []int) {
	clauses := func(rows []clauseRow) (dataformat.Array, []int) {
		out, numbers := dataformat.Array{}, []int{}
		for i := range rows {
			if rows[i].Opcode == "" {
				continue
			}
			out, numbers = append(out, rows[i].value()), append(numbers, i)
		}
		return out, numbers
	}
	var conds, acts dataformat.Array
	conds, conditions = clauses(f.Conditions)
	acts, actions = clauses(f.Actions)
	v = dataformat.Array{dataformat.String(strconv.Itoa(f.priority)), dataformat.String(f.Name), conds, acts}
	if f.Comment != "" {
		v = append(v, dataformat.String(f.Comment))
	}
	return v, conditions, actions
}

func (r *clauseRow) value() dataformat.Value {
	if raw, err := dataformat.Parse([]byte(r.Raw)); err == nil && r.Raw != "" {
		if was := clauseRowOf(raw, r.Action); was.Opcode == r.Opcode && (r.Bare || was.How == r.How || was.How == "") && sameText(was.Param, r.Param) {
			return raw
		}
	}
	out := dataformat.Array{dataformat.String(r.Opcode)}
	if r.Bare {
		return out
	}
	if !r.Action {
		out = append(out, dataformat.String(r.How))
	}
	if r.Param != "" || !r.Action {
		out = append(out, dataformat.String(r.Param))
	}
	return out
}

var clauseNumber = regexp.MustCompile(`(condition|action) ([0-9]+) \(.*?\): `)

// wrong puts an error at the row that it is about.
func (f *ruleForm) wrong(text string, conditions, actions []int) {
	f.Error = text
	m := clauseNumber.FindStringSubmatch(text)
	if m == nil {
		return
	}
	n, _ := strconv.Atoi(m[2])
	rows, numbers := f.Conditions, conditions
	if m[1] == "action" {
		rows, numbers = f.Actions, actions
	}
	if n >= 1 && n <= len(numbers) {
		_, after, _ := strings.Cut(text, m[0])
		rows[numbers[n-1]].Error = after
	}
}

// setRule stores the rule of the form.
func (c *call) setRule() error {
	s := c.ruleSet()
	f := c.ruleDraft()
	c.posted(f)
	bare := func(rows []clauseRow, words []rules.Word) {
		for i := range rows {
			rows[i].Bare = slices.ContainsFunc(words, func(w rules.Word) bool { return w.Bare && w.Name == rows[i].Opcode })
		}
	}
	bare(f.Conditions, f.ConditionWords)
	bare(f.Actions, f.Words)
	v, conditions, actions := f.value()
	if _, err := rules.Check(v, s.level); err != nil {
		f.wrong(c.reason(err), conditions, actions)
		return c.drawRule(http.StatusUnprocessableEntity, f)
	}
	c.saving.Lock()
	defer c.saving.Unlock()
	before, err := s.get()
	if err != nil {
		return err
	}
	after := slices.Clone(before)
	i := -1
	if f.Old != "" {
		i = findRule(before, f.Old)
	}
	switch {
	case f.Old != "" && i < 0:
		f.Error, f.Old, f.Was = c.T("Somebody else has deleted this rule meanwhile. Update again to make it anew."), "", ""
		return c.drawRule(http.StatusConflict, f)
	case i >= 0 && dataformat.Compact(before[i]) != f.Was:
		f.Error, f.Other, f.Was = c.T("somebody else has changed this meanwhile"), dataformat.Compact(before[i]), dataformat.Compact(before[i])
		return c.drawRule(http.StatusConflict, f)
	case i >= 0:
		after[i] = v
	default:
		after = append(after, v)
	}
	if err := s.set(after); err != nil {
		if !kept(err) {
			return err
		}
		f.Error = c.reason(err)
		return c.drawRule(http.StatusUnprocessableEntity, f)
	}
	return c.done(s.base, c.rulesStored(s, c.T("The rule %s is stored.", f.Name), before, after))
}

func (c *call) deleteRule() error {
	name := c.field("old")
	return c.changeRules(c.T("The rule %s is deleted.", name), func(list dataformat.Array) (dataformat.Array, error) {
		i := findRule(list, name)
		if i < 0 {
			return nil, noRule(name)
		}
		if was := c.field("was"); dataformat.Compact(list[i]) != was {
			return nil, fault.New("webadmin.Rule", fault.Exists, fmt.Sprintf("%s: %s", c.T("somebody else has changed this meanwhile"), dataformat.Compact(list[i])))
		}
		return slices.Delete(list, i, i+1), nil
	})
}
