package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

const (
	// taskCheck is how often empty queues are looked at.
	taskCheck = 20 * time.Millisecond
	// housekeeping is the interval of the forwarder and of the janitor.
	housekeeping = 100 * time.Millisecond
	// putBack is how long the shutdown waits before it puts tasks that are held back into their queue.
	putBack = 500 * time.Millisecond
	// readyWithin is how long the server may take to write that it lives.
	readyWithin = 30 * time.Second
)

// executed is one call of the handler.
type executed struct {
	Event     string            `json:"event"`
	Order     int               `json:"order"`
	ID        string            `json:"id"`
	Type      string            `json:"type"`
	Queue     string            `json:"queue"`
	Payload   []byte            `json:"payload"`
	Headers   map[string]string `json:"headers"`
	Retried   int               `json:"retried"`
	MaxRetry  int               `json:"max_retry"`
	Remaining int64             `json:"remaining"`
	Deadline  int64             `json:"deadline"`
	Failed    bool              `json:"failed"`
}

// worker is the handler of tasks.
type worker struct {
	failTimes int
	until     int
	hold      time.Duration
	result    *string

	mutex    sync.Mutex
	count    int
	failures map[string]int
	last     time.Time
	enough   chan struct{}
}

// ProcessTask says what it got. Tasks beyond the number that was asked for are held until the shutdown puts them back.
func (w *worker) ProcessTask(ctx context.Context, work *asynq.Task) error {
	id, _ := asynq.GetTaskID(ctx)
	order, fail := w.admit(id)
	if order == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	queue, _ := asynq.GetQueueName(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	maxRetry, _ := asynq.GetMaxRetry(ctx)
	deadline, _ := ctx.Deadline()
	say(executed{
		Event:     "executed",
		Order:     order,
		ID:        id,
		Type:      work.Type(),
		Queue:     queue,
		Payload:   work.Payload(),
		Headers:   work.Headers(),
		Retried:   retried,
		MaxRetry:  maxRetry,
		Remaining: int64(math.Round(time.Until(deadline).Seconds())),
		Deadline:  deadline.Unix(),
		Failed:    fail,
	})
	select {
	case <-time.After(w.hold):
	case <-ctx.Done():
		return ctx.Err()
	}
	if fail {
		return fmt.Errorf("failing as told: try %d of task %s", retried+1, id)
	}
	if w.result != nil {
		_, err := work.ResultWriter().Write([]byte(*w.result))
		return err
	}
	return nil
}

// admit gives the order number of this call, 0 if there were enough, and whether the call must fail.
func (w *worker) admit(id string) (order int, fail bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.until > 0 && w.count == w.until {
		return 0, false
	}
	w.count++
	w.last = time.Now()
	if w.count == w.until {
		close(w.enough)
	}
	if w.failures[id] < w.failTimes {
		w.failures[id]++
		fail = true
	}
	return w.count, fail
}

func (w *worker) idleSince() time.Time {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.last
}

// serve runs an asynq server until it has done as much as it was asked to, or gets a signal.
func serve(arguments []string) error {
	var where target
	var queues, result string
	var concurrency int
	var idle float64
	var retryDelay time.Duration
	var drain, strict, aggregate bool
	handler := &worker{failures: map[string]int{}, last: time.Now(), enough: make(chan struct{})}
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	where.register(flags)
	flags.StringVar(&queues, "queues", "", "names, separated by commas")
	flags.IntVar(&concurrency, "concurrency", 1, "tasks at once")
	flags.IntVar(&handler.failTimes, "fail-times", 0, "let the first tries of every task fail")
	flags.DurationVar(&retryDelay, "retry-delay", 0, "how long a failed task waits, such as 1h")
	flags.IntVar(&handler.until, "until", 0, "end after so many executions")
	flags.DurationVar(&handler.hold, "hold", 0, "how long a task takes, such as 90s")
	flags.Float64Var(&idle, "idle", 0, "end after so many seconds without an execution")
	flags.BoolVar(&drain, "drain", false, "end when no task is pending, active or to be retried")
	flags.BoolVar(&strict, "strict", false, "the first queue strictly before the second, and so on")
	flags.BoolVar(&aggregate, "aggregate", false, "make one task of each group of tasks that is a second old")
	flags.StringVar(&result, "result", "", "what to write as the result of each task")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	flags.Visit(func(set *flag.Flag) {
		if set.Name == "result" {
			handler.result = &result
		}
	})

	names := strings.Split(queues, ",")
	priorities := map[string]int{}
	for place, name := range names {
		priorities[name] = 1
		if strict {
			priorities[name] = len(names) - place
		}
	}
	config := asynq.Config{
		Concurrency:              concurrency,
		Queues:                   priorities,
		StrictPriority:           strict,
		TaskCheckInterval:        taskCheck,
		DelayedTaskCheckInterval: housekeeping,
		JanitorInterval:          housekeeping,
		ShutdownTimeout:          putBack,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return retryDelay },
		LogLevel:                 asynq.WarnLevel,
	}
	if aggregate {
		config.GroupAggregator = asynq.GroupAggregatorFunc(join)
		config.GroupGracePeriod = time.Second // asynq takes no less
	}
	server := asynq.NewServer(where.options(), config)
	inspector := asynq.NewInspector(where.options())
	defer inspector.Close()
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)

	if err := server.Start(handler); err != nil {
		return err
	}
	if err := awaitReady(inspector); err != nil {
		return err
	}
	reason := wait(handler, told, time.Duration(idle*float64(time.Second)), func() bool {
		return drain && drained(inspector, names)
	})
	server.Shutdown()
	say(map[string]string{"event": "ended", "reason": reason})
	return nil
}

// join makes one task of a group: its type is the group's name, its payload has a line for each task.
func join(group string, tasks []*asynq.Task) *asynq.Task {
	var payloads [][]byte
	for _, task := range tasks {
		payloads = append(payloads, task.Payload())
	}
	return asynq.NewTask(group, bytes.Join(payloads, []byte("\n")))
}

// awaitReady returns once the server's own entry is there, as it is written in the background.
func awaitReady(inspector *asynq.Inspector) error {
	for begun := time.Now(); time.Since(begun) < readyWithin; time.Sleep(taskCheck) {
		servers, err := inspector.Servers()
		if err != nil {
			return err
		}
		for _, server := range servers {
			if server.PID == os.Getpid() {
				say(map[string]any{"event": "ready", "server": server.ID, "host": server.Host, "pid": server.PID})
				return nil
			}
		}
	}
	return fmt.Errorf("the server does not appear within %s", readyWithin)
}

// wait returns why the server must end.
func wait(handler *worker, told <-chan os.Signal, idle time.Duration, done func() bool) string {
	ticker := time.NewTicker(housekeeping)
	defer ticker.Stop()
	for {
		select {
		case <-handler.enough:
			return "until"
		case <-told:
			return "signal"
		case <-ticker.C:
			if done() {
				return "drained"
			}
			if idle > 0 && time.Since(handler.idleSince()) > idle {
				return "idle"
			}
		}
	}
}

// drained tells whether nothing is left that a server would still execute, but for tasks scheduled for later.
func drained(inspector *asynq.Inspector, names []string) bool {
	known, err := inspector.Queues()
	if err != nil {
		return false
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			continue
		}
		info, err := inspector.GetQueueInfo(name)
		if err != nil || info.Pending+info.Active+info.Retry > 0 {
			return false
		}
	}
	return true
}
