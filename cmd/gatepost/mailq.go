package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"time"

	"gatepost/server/dataformat"
)

// mailq prints the queue as sendmail -bp and mailq have it on other systems; monitors read
// the first or the last line.
func mailq(c *commands) error {
	v, err := ask(c, "GATEPOST QUEUE LIST")
	if err != nil {
		return err
	}
	rows, ok := v.(dataformat.Array)
	if !ok {
		return errors.New("the answer of the server has no list")
	}
	if len(rows) == 0 {
		fmt.Println("Mail queue is empty")
		return nil
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------")
	var last, messages, bytes int64
	for _, r := range rows {
		d, _ := r.(dataformat.Dict)
		number := func(key string) int64 { n, _ := dataformat.Int(d[key]); return n }
		if id := number("id"); id != last || messages == 0 {
			last = id
			if messages++; messages > 1 {
				fmt.Fprintln(out)
			}
			bytes += number("size")
			mark := " "
			switch {
			case d.String("onHold") == "YES":
				mark = "!"
			case d.String("active") == "YES":
				mark = "*"
			}
			from := d.String("returnPath")
			if from == "" {
				from = "MAILER-DAEMON"
			}
			arrived := time.Now().Add(-time.Duration(number("age")) * time.Second)
			fmt.Fprintf(out, "%-11s%9d %s  %s\n", fmt.Sprint(id)+mark, number("size"), arrived.Format("Mon Jan _2 15:04:05"), from)
		}
		if text := d.String("lastError"); text != "" {
			fmt.Fprintf(out, "%8s(%s)\n", "", text)
		}
		fmt.Fprintf(out, "%42s%s\n", "", d.String("recipient"))
	}
	requests := "Request"
	if messages != 1 {
		requests += "s"
	}
	fmt.Fprintf(out, "\n-- %d Kbytes in %d %s.\n", (bytes+1023)/1024, messages, requests)
	return out.Flush()
}
