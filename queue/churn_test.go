package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/router"
)

// tidy reports what is wrong with the counts of a module when nothing is under way.
func tidy(q *Queue, m *module) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var wrong strings.Builder
	if m.working != 0 || m.silent != 0 || len(m.underway) != 0 || m.running != 0 {
		fmt.Fprintf(&wrong, "%d working, %d silent, %d under way, %d running; ", m.working, m.silent, len(m.underway), m.running)
	}
	members := map[*destination]int{}
	look := func(d *destination) {
		if d.active != 0 || d.answering != 0 || d.shedding != 0 {
			fmt.Fprintf(&wrong, "%q: %d active, %d answering, %d shedding; ", d.name, d.active, d.answering, d.shedding)
		}
	}
	for name, l := range m.queues {
		members[l.dest]++
		look(&l.own)
		if l.active != 0 || l.count == 0 {
			fmt.Fprintf(&wrong, "queue %q: %d active, %d entries; ", name, l.active, l.count)
		}
	}
	for name, d := range m.named {
		look(d)
		if len(d.members) != members[d] {
			fmt.Fprintf(&wrong, "%q has %d queues, and says %d; ", name, members[d], len(d.members))
		}
		if idle := d.turn.in == &m.idle; idle != (len(d.members) == 0) {
			fmt.Fprintf(&wrong, "%q has %d queues, idle is %v; ", name, len(d.members), idle)
		}
	}
	return wrong.String()
}

// Hosts come and go, refuse, move to other groups, and an administrator releases and
// rejects: at the end all mail is there, and nothing is counted that is not.
func TestChurnLosesNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				const hosts, domains, messages = 6, 20, 300
				n := newNetwork(func(string) host { return host{greet: 10 * time.Millisecond, each: 30 * time.Millisecond} })
				n.policy.Workers, n.policy.Silent, n.policy.PerQueue, n.policy.Backlog, n.policy.BatchSize = 4, 5, 3, 2, 5
				to := make([]int, domains)
				if seed%2 == 0 {
					n.group = func(queue string) string { // with n.mu held
						var d int
						if _, err := fmt.Sscanf(queue, "d%d.net", &d); err != nil {
							return queue // the name of a host
						}
						return fmt.Sprintf("h%d", to[d])
					}
				}
				b := n.on(t)
				b.run()
				name := func(i int) string {
					if n.group != nil {
						return fmt.Sprintf("h%d", i%hosts)
					}
					return fmt.Sprintf("d%d.net", i%domains)
				}
				rejected := 0
				for i := range messages {
					b.fill(1, fmt.Sprintf("d%d.net", r.IntN(domains)))
					switch r.IntN(8) {
					case 0:
						n.change(name(r.IntN(99)), func(h *host) { h.silent = !h.silent })
					case 1:
						n.change(name(r.IntN(99)), func(h *host) { h.most = r.IntN(3) })
					case 2:
						n.mu.Lock()
						to[r.IntN(domains)] = r.IntN(hosts)
						n.mu.Unlock()
					case 3:
						b.q.Wake(router.SMTP, fmt.Sprintf("d%d.net", r.IntN(domains)))
					case 4:
						b.q.WakeModule(router.SMTP)
					case 5:
						if ids := b.q.ids(); len(ids) > 0 && i%5 == 0 {
							if b.q.Reject(context.Background(), ids[r.IntN(len(ids))], "", false) == nil {
								rejected++
							}
						}
					default:
						time.Sleep(time.Duration(r.IntN(20_000)) * time.Millisecond)
					}
				}
				for i := range domains {
					n.change(name(i), func(h *host) { h.silent, h.most = false, 0 })
				}
				within(t, 24*time.Hour, "an empty queue", func() bool {
					time.Sleep(time.Minute)
					return b.q.Len() == 0
				})
				synctest.Wait()
				if wrong := tidy(b.q, b.q.modules[router.SMTP]); wrong != "" {
					t.Error(wrong)
				}
				if got := n.of(""); got < messages-rejected || got > messages {
					t.Errorf("%d messages arrived, %d were rejected", got, rejected)
				}
				b.halt()
			})
		})
	}
}
