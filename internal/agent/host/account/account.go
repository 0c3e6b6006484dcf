// Package account makes and removes the user that the proxy runs as. In comes nothing but the wish for it, out comes whether it
// is there. It touches no other user, and no user of that name with another number.
package account

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Runner runs programs; command.Exec does.
type Runner interface {
	Run(ctx context.Context, c command.Command) ([]byte, error)
}

// Comment is the proxy's user's full name; the package's scripts know it by that.
const Comment = "Istio proxy of Hawser"

// Users are a host's users and groups.
type Users struct {
	runner Runner
	// passwd and group are the files of passwd(5) and group(5).
	passwd, group string
}

// New returns the users that these files hold.
func New(runner Runner, passwd, group string) *Users {
	return &Users{runner: runner, passwd: passwd, group: group}
}

// Entry is a name and a number; the number of a name that does not exist is -1.
type Entry struct {
	Name   string
	Number int
}

// Found tells who has the proxy's name and number. Only local files are read: a user that a directory service has under this
// number is found when its name is looked up by others, at the latest by systemd.
type Found struct {
	// User and Group that have number 1337; empty names if none do.
	User, Group Entry
	// UserNumber and GroupNumber of istio-proxy; -1 if there is none.
	UserNumber, GroupNumber int
}

// Look finds who has name and number.
func (u *Users) Look() (Found, error) {
	found := Found{}
	var err error
	if found.User, found.UserNumber, err = look(u.passwd); err != nil {
		return found, err
	}
	found.Group, found.GroupNumber, err = look(u.group)
	return found, err
}

// Exists reports whether user and group are there with their numbers.
func (u *Users) Exists() (bool, error) {
	found, err := u.Look()
	return err == nil && found.UserNumber == plan.AccountID && found.GroupNumber == plan.AccountID, err
}

func look(file string) (holder Entry, number int, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return Entry{}, -1, fmt.Errorf("look for %s: %w", plan.AccountName, err)
	}
	number = -1
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 3 {
			continue
		}
		n, err := strconv.Atoi(fields[2])
		if err != nil {
			continue
		}
		if n == plan.AccountID {
			holder = Entry{fields[0], n}
		}
		if fields[0] == plan.AccountName {
			number = n
		}
	}
	return holder, number, nil
}

// Create makes user and group, by the tool that every host with systemd has (systemd-sysusers(8)).
func (u *Users) Create(ctx context.Context) error {
	line := fmt.Sprintf("u %s %d %q %s /usr/sbin/nologin", plan.AccountName, plan.AccountID, Comment, plan.ProxyDirectory)
	if _, err := u.runner.Run(ctx, command.New("systemd-sysusers", "--inline", line)); err != nil {
		return fmt.Errorf("create user %s: %w", plan.AccountName, err)
	}
	exists, err := u.Exists()
	if err == nil && !exists {
		err = fmt.Errorf("create user %s: it did not get number %d; getent passwd %[1]s %[2]d shows who has them", plan.AccountName, plan.AccountID)
	}
	return err
}

const (
	// inUse is userdel's exit status for a user who has processes (userdel(8)).
	inUse = 8
	// The proxy has been stopped, but what it started may end a moment later.
	inUseLimit  = 10 * time.Second
	inUsePeriod = 100 * time.Millisecond
)

func (u *Users) removeUser(ctx context.Context) error {
	limit := time.After(inUseLimit)
	for {
		_, err := u.runner.Run(ctx, command.New("userdel", plan.AccountName))
		if failed, ok := errors.AsType[*command.Error](err); !ok || failed.Code != inUse {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-limit:
			return err
		case <-time.After(inUsePeriod):
		}
	}
}

// Remove deletes user and group. What does not exist is removed already.
func (u *Users) Remove(ctx context.Context) error {
	found, err := u.Look()
	if err != nil {
		return err
	}
	if found.UserNumber == plan.AccountID {
		if err := u.removeUser(ctx); err != nil {
			return fmt.Errorf("remove user %s: %w", plan.AccountName, err)
		}
	}
	// userdel takes the group along where it is configured to (login.defs(5), USERGROUPS_ENAB).
	if found, err = u.Look(); err != nil || found.GroupNumber != plan.AccountID {
		return err
	}
	if _, err := u.runner.Run(ctx, command.New("groupdel", plan.AccountName)); err != nil {
		return fmt.Errorf("remove group %s: %w", plan.AccountName, err)
	}
	return nil
}
