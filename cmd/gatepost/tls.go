package main

import (
	"errors"
	"fmt"
	"strings"

	"gatepost/server/dataformat"
)

type tlsCommand struct {
	Domain string `arg:"" help:"The domain that mail would go to."`
}

// Run says what encryption mail to a domain would have. The exit code is 1 when it would get no mail now.
func (k *tlsCommand) Run(c *commands) error {
	v, err := ask(c, "CHECKTLS "+dataformat.Quote(k.Domain))
	if err != nil {
		return err
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("the answer of the server is not about a domain")
	}
	fmt.Println(strings.Join(d.Strings("Lines"), "\n"))
	if d.String("Goes") != "YES" {
		fmt.Println("Mail would wait.")
		return errSaidNo
	}
	return nil
}
