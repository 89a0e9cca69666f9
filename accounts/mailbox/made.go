package mailbox

import (
	"context"
	"encoding/binary"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// Made is a delivery that was made.
type Made struct {
	// Copy and Sent are those of the Delivery.
	Copy uint32
	Sent []uint64
}

// Made lists the deliveries of a queued message to the account that were made, in the order of
// their copies, until Store.Forget.
func (a *Account) Made(queueID uint64) (list []Made, err error) {
	var k keyBuffer
	from := append([]byte(nil), k.delivered(queueID, a.id, 0)...)
	err = a.shard.View(func(tx index.Tx) (err error) {
		tx.Range(index.Delivered, from, after(from[:len(from)-4]), func(k, v []byte) bool {
			var rec deliveredRecord
			if err = rec.unmarshal(v); err != nil {
				return false
			}
			list = append(list, Made{Copy: binary.BigEndian.Uint32(k[len(k)-4:]), Sent: rec.sent})
			return true
		})
		return err
	})
	return list, fault.Wrap("mailbox.Made", fault.Internal, err)
}

// ForgetMade removes the record of a delivery of which no message was stored (Delivery.RecordOnly).
func (a *Account) ForgetMade(ctx context.Context, queueID uint64, copy uint32) error {
	return a.update(ctx, func(e *edit) error {
		return e.tx.Delete(index.Delivered, e.key.delivered(queueID, a.id, copy))
	})
}

// EachMade visits all deliveries that were made and not forgotten, with their queue IDs.
func (s *Store) EachMade(ctx context.Context, visit func(queueID uint64, m Made)) error {
	const op = "mailbox.EachMade"
	for _, sh := range s.index.Shards() {
		err := sh.View(func(tx index.Tx) (err error) {
			tx.Range(index.Delivered, nil, nil, func(k, v []byte) bool {
				var rec deliveredRecord
				if err = rec.unmarshal(v); err != nil {
					return false
				}
				visit(binary.BigEndian.Uint64(k), Made{Copy: lastUint32(k), Sent: rec.sent})
				return ctx.Err() == nil
			})
			return err
		})
		if err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
		if err := ctx.Err(); err != nil {
			return fault.Wrap(op, fault.Canceled, err)
		}
	}
	return nil
}
