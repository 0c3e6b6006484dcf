package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// fetch prints what a URL answers: http, or tcp for a line of the line protocol. A status other than 200 is an error.
func fetch(ctx context.Context, client *http.Client, address string, out io.Writer) error {
	target, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	if target.Scheme == "tcp" {
		return fetchLine(ctx, target.Host, out)
	}
	body, status, err := get(ctx, client, address)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	if _, err := out.Write(body); err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("get: %s answered %d %s", address, status, http.StatusText(status))
	}
	return nil
}

func fetchLine(ctx context.Context, host string, out io.Writer) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("get: %w", err)
		}
	}
	if _, err := fmt.Fprintln(conn, "hello"); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("get: %s closed the connection without an answer: %w", host, err)
	}
	_, err = io.WriteString(out, line)
	return err
}
