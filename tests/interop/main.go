// Command interop serves WebMLS to the test runner of mlswg/mls-implementations,
// by default on the loopback interface alone: it does whatever a caller says,
// and hands out private keys.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"strconv"
	"strings"

	"webmls/mls/suite"
	"webmls/tests/interop/peer"
)

func main() {
	log.SetFlags(0)
	host := flag.String("host", "127.0.0.1", "`address` to listen on")
	port := flag.Int("port", 50001, "port to listen on; 0 takes a free one")
	suites := make(suiteMap)
	flag.Var(suites, "suite", "`THEIRS=OURS`: serve our cipher suite OURS also under the number THEIRS; may be repeated")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unexpected argument %q", flag.Arg(0))
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(*host, strconv.Itoa(*port)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	if err := peer.NewServer(peer.Options{Suites: suites}).Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// suiteMap is the value of the flag -suite.
type suiteMap map[uint32]suite.ID

func (m suiteMap) String() string { return "" }

func (m suiteMap) Set(value string) error {
	theirs, ours, ok := strings.Cut(value, "=")
	if !ok {
		return fmt.Errorf("want THEIRS=OURS, two numbers")
	}
	number, err := strconv.ParseUint(theirs, 0, 16)
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(ours, 0, 16)
	if err != nil {
		return err
	}
	if _, err := suite.Lookup(suite.ID(id)); err != nil {
		return err
	}
	m[uint32(number)] = suite.ID(id)
	return nil
}
