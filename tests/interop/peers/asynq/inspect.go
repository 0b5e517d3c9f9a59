package main

import (
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
)

// page is how many tasks a listing asks for at once.
const page = 1000

// inspect asks asynq's Inspector, or has it change something.
func inspect(arguments []string) error {
	var where target
	flags := flag.NewFlagSet("inspect", flag.ExitOnError)
	where.register(flags)
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	inspector := asynq.NewInspector(where.options())
	defer inspector.Close()

	command := flags.Arg(0)
	needed := map[string]int{
		"queues": 1, "servers": 1, "queue": 2, "task": 3, "list": 3, "delete": 3, "archive": 3, "run": 3,
	}[command]
	if needed == 0 || flags.NArg() != needed {
		return fmt.Errorf("inspect cannot do this: %q", flags.Args())
	}
	switch command {
	case "queues":
		return listQueues(inspector)
	case "servers":
		return listServers(inspector)
	case "queue":
		return describeQueue(inspector, flags.Arg(1))
	case "list":
		return listTasks(inspector, flags.Arg(1), flags.Arg(2))
	case "delete":
		return inspector.DeleteTask(flags.Arg(1), flags.Arg(2))
	case "archive":
		return inspector.ArchiveTask(flags.Arg(1), flags.Arg(2))
	case "run":
		return inspector.RunTask(flags.Arg(1), flags.Arg(2))
	}
	info, err := inspector.GetTaskInfo(flags.Arg(1), flags.Arg(2))
	if err != nil {
		return err
	}
	say(describe(info))
	return nil
}

func listQueues(inspector *asynq.Inspector) error {
	names, err := inspector.Queues()
	if err != nil {
		return err
	}
	for _, name := range names {
		say(map[string]string{"queue": name})
	}
	return nil
}

func describeQueue(inspector *asynq.Inspector, name string) error {
	info, err := inspector.GetQueueInfo(name)
	if err != nil {
		// Other than the rest of the Inspector, this does not wrap ErrQueueNotFound.
		if known, unknown := inspector.Queues(); unknown == nil && !slices.Contains(known, name) {
			return fmt.Errorf("%w: %w", asynq.ErrQueueNotFound, err)
		}
		return err
	}
	say(map[string]any{
		"queue":           info.Queue,
		"size":            info.Size,
		"pending":         info.Pending,
		"active":          info.Active,
		"scheduled":       info.Scheduled,
		"retry":           info.Retry,
		"archived":        info.Archived,
		"completed":       info.Completed,
		"processed":       info.Processed,
		"failed":          info.Failed,
		"processed_total": info.ProcessedTotal,
		"failed_total":    info.FailedTotal,
		"paused":          info.Paused,
		"latency":         info.Latency.Seconds(),
		"memory":          info.MemoryUsage,
	})
	return nil
}

func listTasks(inspector *asynq.Inspector, queue, state string) error {
	list := map[string]func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		"pending":   inspector.ListPendingTasks,
		"active":    inspector.ListActiveTasks,
		"scheduled": inspector.ListScheduledTasks,
		"retry":     inspector.ListRetryTasks,
		"archived":  inspector.ListArchivedTasks,
		"completed": inspector.ListCompletedTasks,
	}[state]
	if list == nil {
		return fmt.Errorf("there are no tasks in a state %q", state)
	}
	for number := 1; ; number++ {
		tasks, err := list(queue, asynq.PageSize(page), asynq.Page(number))
		if err != nil {
			return err
		}
		for _, info := range tasks {
			say(describe(info))
		}
		if len(tasks) < page {
			return nil
		}
	}
}

func listServers(inspector *asynq.Inspector) error {
	servers, err := inspector.Servers()
	if err != nil {
		return err
	}
	for _, server := range servers {
		active := []string{}
		for _, busy := range server.ActiveWorkers {
			active = append(active, busy.TaskID)
		}
		say(map[string]any{
			"id":          server.ID,
			"host":        server.Host,
			"pid":         server.PID,
			"concurrency": server.Concurrency,
			"queues":      server.Queues,
			"strict":      server.StrictPriority,
			"status":      server.Status,
			"started":     server.Started.Truncate(time.Second).Unix(),
			"active":      active,
		})
	}
	return nil
}
