// hashicorp/yamux, the implementation that wrote the specification, as the other end of Postern's links.
//
//	yamux-go server                    prints the address where it listens, and echoes each stream
//	yamux-go client ADDRESS BYTES N    echoes BYTES on one stream, then a little on N at once
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"strconv"

	"github.com/hashicorp/yamux"
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "server":
		check(serve())
	case len(os.Args) == 5 && os.Args[1] == "client":
		byteCount, err := strconv.ParseInt(os.Args[3], 10, 64)
		check(err)
		streams, err := strconv.Atoi(os.Args[4])
		check(err)
		check(ask(os.Args[2], byteCount, streams))
	default:
		check(fmt.Errorf("neither server nor client"))
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		session, err := yamux.Server(connection, configuration())
		if err != nil {
			return err
		}
		go func() {
			for {
				stream, err := session.AcceptStream()
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(stream, stream)
					_ = stream.Close()
				}()
			}
		}()
	}
}

func ask(address string, byteCount int64, streams int) error {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	session, err := yamux.Client(connection, configuration())
	if err != nil {
		return err
	}
	if err := echo(session, byteCount, 1); err != nil {
		return err
	}
	fmt.Println("whole")
	results := make(chan error)
	for n := 0; n < streams; n++ {
		go func(seed int64) { results <- echo(session, 1+seed%4096, seed) }(int64(n))
	}
	for n := 0; n < streams; n++ {
		if err := <-results; err != nil {
			return err
		}
	}
	fmt.Println("all")
	return session.Close()
}

// echo sends pseudo-random bytes and an end, and compares what comes back until the other end's.
func echo(session *yamux.Session, byteCount, seed int64) error {
	stream, err := session.OpenStream()
	if err != nil {
		return err
	}
	sent, received := sha256.New(), sha256.New()
	sending := make(chan error, 1)
	go func() {
		source := io.LimitReader(rand.New(rand.NewSource(seed)), byteCount)
		_, err := io.Copy(stream, io.TeeReader(source, sent))
		if err == nil {
			err = stream.Close()
		}
		sending <- err
	}()
	count, err := io.Copy(received, stream)
	if err != nil {
		return err
	}
	if err := <-sending; err != nil {
		return err
	}
	if count != byteCount || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		return fmt.Errorf("%d of %d bytes came back, or others", count, byteCount)
	}
	return nil
}

func configuration() *yamux.Config {
	config := yamux.DefaultConfig()
	config.LogOutput = os.Stderr
	return config
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
