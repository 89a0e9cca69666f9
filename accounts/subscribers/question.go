package subscribers

import (
	"context"
	"crypto/rand"
	"slices"
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
}

// MaxQuestions bounds the questions of a list that wait for an answer. With more, nobody new is asked.
const MaxQuestions = 20_000

// Ask keeps a question and returns its token. An address that has a question of the same kind keeps it, with its
// token, and again is true: whoever asks should not send another message then, so that nobody can have a stranger
// flooded. A question that has expired is replaced. Errors: TooMany.
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
				// The address is asked once; what was wished for last holds.
				again = true
				kept.Token, kept.Asked, kept.Expire, kept.Times = old.Token, old.Asked, old.Expire, old.Times+1
				return tx.Put(index.Server, l.key(letterQuestion, kept.Token), encodeQuestion(&kept))
			}
		}
		count, err := l.questions(tx)
		if err != nil {
			return err
		}
		if stale == nil {
			if count++; count > MaxQuestions {
				return fault.New(op, fault.TooMany, "too many people were asked and have not answered; try again later")
			}
		} else if err := tx.Delete(index.Server, l.key(letterQuestion, string(stale))); err != nil {
			return err
		}
		if err := l.setQuestions(tx, count); err != nil {
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

// questions is how many questions wait, those that have expired included.
func (l *List) questions(tx index.Tx) (int, error) {
	v := tx.Get(index.Server, l.key(letterQuestions, ""))
	if v == nil {
		return 0, nil
	}
	r := open(v)
	return r.number(), r.err("the number of questions")
}

func (l *List) setQuestions(tx index.Tx, n int) error {
	w := writer{version}
	w.number(n)
	return tx.Put(index.Server, l.key(letterQuestions, ""), w)
}

// remove removes questions.
func (l *List) remove(tx index.Tx, gone ...Question) error {
	count, err := l.questions(tx)
	if err != nil {
		return err
	}
	for i := range gone {
		if err := tx.Delete(index.Server, l.asked(&gone[i])); err != nil {
			return err
		}
		if err := tx.Delete(index.Server, l.key(letterQuestion, gone[i].Token)); err != nil {
			return err
		}
	}
	return l.setQuestions(tx, count-len(gone))
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
