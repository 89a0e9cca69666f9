package subscribers

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// Question is what a person was asked to confirm, by a token that only the mail to the address has.
type Question struct {
	Token    string
	Address  string
	RealName string
	// Mode is what the address gets once it is confirmed; None for the end of a subscription.
	Mode Mode
	// Kind tells the questions of different parts from each other.
	Kind string
	// Value is for who asks.
	Value         string
	Asked, Expire time.Time
	// Times is how often the address was asked.
	Times int
	// Stranger says that mail of anybody is enough for the question: whom it is about is no subscriber, and nothing is proven.
	Stranger bool
}

// The bounds of the questions of a list that wait for an answer. With more, nobody new is asked. Those of strangers leave room for the others,
// and the addresses of one domain leave room for those of other domains.
const (
	MaxQuestions          = 20_000
	MaxQuestionsStrangers = 15_000
	MaxQuestionsDomain    = 2_000 // of strangers
	MaxQuestionsAddress   = 100   // of one address, whoever it is
)

// about is the address that a question is about: in that of a posting a number stands before it.
func (q *Question) about() string { return fold(q.Address[strings.LastIndexByte(q.Address, ' ')+1:]) }

// groups are the groups that a question counts in, with the bound of each.
func (q *Question) groups() map[string]int {
	about := q.about()
	all := map[string]int{"": MaxQuestions, about: MaxQuestionsAddress}
	if q.Stranger {
		all["@"] = MaxQuestionsStrangers
		all[about[strings.LastIndexByte(about, '@')+1:]+"@"] = MaxQuestionsDomain
	}
	return all
}

// room looks whether there may be one more question. Errors: TooMany.
func (l *List) room(tx index.Tx, q *Question) error {
	for group, most := range q.groups() {
		switch n, err := l.counted(tx, group); {
		case err != nil:
			return err
		case n >= most:
			return fault.New("subscribers.Ask", fault.TooMany, "too many people were asked and have not answered; try again later")
		}
	}
	return nil
}

// counted is how many questions of a group wait, those that have expired included.
func (l *List) counted(tx index.Tx, group string) (int, error) {
	v := tx.Get(index.Server, l.key(letterQuestions, group))
	if v == nil {
		return 0, nil
	}
	r := open(v)
	return r.number(), r.err("the number of questions")
}

// count adds n to the groups of a question.
func (l *List) count(tx index.Tx, q *Question, n int) error {
	for group := range q.groups() {
		now, err := l.counted(tx, group)
		if err != nil {
			return err
		}
		if now += n; now > 0 {
			w := writer{version}
			w.number(now)
			err = tx.Put(index.Server, l.key(letterQuestions, group), w)
		} else {
			err = tx.Delete(index.Server, l.key(letterQuestions, group))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Ask keeps a question and returns its token. An address that has a question of the same kind keeps it as it is, with its
// token, and again is true: whoever asks should not send another message then, so that nobody can have a stranger
// flooded, nor change what the stranger was asked. A question that has expired is replaced. Errors: TooMany.
func (l *List) Ask(ctx context.Context, q Question, now time.Time) (kept Question, again bool, err error) {
	const op = "subscribers.Ask"
	token := rand.Text()
	err = l.shard.Update(ctx, func(tx index.Tx) error {
		kept, again = q, false
		kept.Token, kept.Asked, kept.Times = token, now, 1
		if len(kept.Address) > maxText || len(kept.RealName) > maxText || len(kept.Value) > maxText || len(kept.Kind) > maxText {
			return fault.New(op, fault.Invalid, "the question is too long")
		}
		stale := tx.Get(index.Server, l.asked(&kept))
		if stale != nil {
			old, err := decodeQuestion(tx.Get(index.Server, l.key(letterQuestion, string(stale))))
			if err != nil {
				return err
			}
			if !now.After(old.Expire) {
				// What the mail says that the address has got, and nothing else.
				again = true
				kept = old
				kept.Times++
				return tx.Put(index.Server, l.key(letterQuestion, kept.Token), encodeQuestion(&kept))
			}
			if err := l.room(tx, &kept); err != nil {
				return err
			}
			if err := l.remove(tx, old); err != nil {
				return err
			}
		} else if err := l.room(tx, &kept); err != nil {
			return err
		}
		if err := l.count(tx, &kept, 1); err != nil {
			return err
		}
		if err := tx.Put(index.Server, l.asked(&kept), []byte(kept.Token)); err != nil {
			return err
		}
		return tx.Put(index.Server, l.key(letterQuestion, kept.Token), encodeQuestion(&kept))
	}, nil)
	return kept, again, err
}

// asked is the key under which the token of a question stands by the address that was asked.
func (l *List) asked(q *Question) []byte { return l.key(letterAsked, q.Kind+"\x00"+fold(q.Address)) }

// remove removes questions.
func (l *List) remove(tx index.Tx, gone ...Question) error {
	for i := range gone {
		if err := l.count(tx, &gone[i], -1); err != nil {
			return err
		}
		if err := tx.Delete(index.Server, l.asked(&gone[i])); err != nil {
			return err
		}
		if err := tx.Delete(index.Server, l.key(letterQuestion, gone[i].Token)); err != nil {
			return err
		}
	}
	return nil
}

// Question returns a question that waits for its answer. Errors: NotFound, also for one that has expired.
func (l *List) Question(token string, now time.Time) (q Question, err error) {
	err = l.shard.View(func(tx index.Tx) error {
		var err error
		q, err = l.question(tx, token, now)
		return err
	})
	return q, err
}

func (l *List) question(tx index.Tx, token string, now time.Time) (Question, error) {
	unknown := fault.New("subscribers.Question", fault.NotFound, "there is no such question; it may be answered already, or too old")
	if token == "" || len(token) > maxText {
		return Question{}, unknown
	}
	v := tx.Get(index.Server, l.key(letterQuestion, token))
	if v == nil {
		return Question{}, unknown
	}
	q, err := decodeQuestion(v)
	if err == nil && now.After(q.Expire) {
		err = unknown
	}
	return q, err
}

// Answer removes a question and returns it: each token answers once. Errors: NotFound.
func (l *List) Answer(ctx context.Context, token string, now time.Time) (q Question, err error) {
	err = l.shard.UpdateFreeing(ctx, func(tx index.Tx) error {
		var err error
		if q, err = l.question(tx, token, now); err != nil {
			return err
		}
		return l.remove(tx, q)
	}, nil)
	return q, err
}

// Questions returns the questions of a kind that wait for an answer, in the order in which they were asked, limit at most.
func (l *List) Questions(kind string, limit int, now time.Time) (all []Question, err error) {
	err = l.shard.View(func(tx index.Tx) (err error) {
		tx.Range(index.Server, l.key(letterQuestion, ""), l.key(letterQuestion+1, ""), func(_, value []byte) bool {
			var q Question
			if q, err = decodeQuestion(value); err != nil {
				return false
			}
			if q.Kind == kind && !now.After(q.Expire) {
				all = append(all, q)
			}
			return true
		})
		return err
	})
	slices.SortFunc(all, func(a, b Question) int { return a.Asked.Compare(b.Asked) })
	return all[:min(len(all), limit)], err
}

// RemoveExpired removes the questions that nobody has answered in time, and returns them.
func (l *List) RemoveExpired(ctx context.Context, now time.Time) (gone []Question, err error) {
	err = l.shard.UpdateFreeing(ctx, func(tx index.Tx) (err error) {
		gone = gone[:0]
		tx.Range(index.Server, l.key(letterQuestion, ""), l.key(letterQuestion+1, ""), func(_, value []byte) bool {
			var q Question
			if q, err = decodeQuestion(value); err != nil {
				return false
			}
			if now.After(q.Expire) {
				gone = append(gone, q)
			}
			return len(gone) < MaxChange
		})
		if err != nil {
			return err
		}
		if len(gone) == 0 {
			return nil
		}
		return l.remove(tx, gone...)
	}, nil)
	return gone, err
}
