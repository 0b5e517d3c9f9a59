package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"time"

	"github.com/hibiken/asynq"
)

// enqueue puts one task into a queue with asynq's own client. An option that is not given is left to asynq.
func enqueue(arguments []string) error {
	var where target
	var id, queue, typename, payload, headers, group string
	var maxRetry int
	var deadline, processAt int64
	var timeout, retention, unique, processIn time.Duration
	flags := flag.NewFlagSet("enqueue", flag.ExitOnError)
	where.register(flags)
	flags.StringVar(&id, "id", "", "task id")
	flags.StringVar(&queue, "queue", "", "queue name")
	flags.StringVar(&typename, "type", "", "type of the task")
	flags.StringVar(&payload, "payload-base64", "", "payload, or - to read it from standard input; without this option it is nil")
	flags.StringVar(&headers, "headers", "", "headers, as a JSON object")
	flags.StringVar(&group, "group", "", "group of tasks to aggregate")
	flags.IntVar(&maxRetry, "max-retry", 0, "how often to retry")
	flags.Int64Var(&deadline, "deadline", 0, "Unix time in seconds")
	flags.Int64Var(&processAt, "process-at", 0, "Unix time in seconds")
	flags.DurationVar(&processIn, "process-in", 0, "delay, such as 90s")
	flags.DurationVar(&timeout, "timeout", 0, "how long a try may take")
	flags.DurationVar(&retention, "retention", 0, "how long to keep the completed task")
	flags.DurationVar(&unique, "unique", 0, "how long the uniqueness lock holds")
	if err := flags.Parse(arguments); err != nil {
		return err
	}

	var content []byte
	var options []asynq.Option
	var badPayload, badHeaders error
	given := map[string]string{}
	flags.Visit(func(set *flag.Flag) {
		switch set.Name {
		case "id":
			options = append(options, asynq.TaskID(id))
		case "queue":
			options = append(options, asynq.Queue(queue))
		case "payload-base64":
			content, badPayload = decode(payload)
		case "headers":
			badHeaders = json.Unmarshal([]byte(headers), &given)
		case "group":
			options = append(options, asynq.Group(group))
		case "max-retry":
			options = append(options, asynq.MaxRetry(maxRetry))
		case "deadline":
			options = append(options, asynq.Deadline(time.Unix(deadline, 0)))
		case "process-at":
			options = append(options, asynq.ProcessAt(time.Unix(processAt, 0)))
		case "process-in":
			options = append(options, asynq.ProcessIn(processIn))
		case "timeout":
			options = append(options, asynq.Timeout(timeout))
		case "retention":
			options = append(options, asynq.Retention(retention))
		case "unique":
			options = append(options, asynq.Unique(unique))
		}
	})
	if err := errors.Join(badPayload, badHeaders); err != nil {
		return err
	}

	client := asynq.NewClient(where.options())
	defer client.Close()
	info, err := client.Enqueue(asynq.NewTaskWithHeaders(typename, content, given), options...)
	if err != nil {
		return err
	}
	say(describe(info))
	return nil
}

// decode reads a long payload from standard input, as an argument of a program is limited to 128 KiB.
func decode(payload string) ([]byte, error) {
	if payload == "-" {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, err
		}
		payload = string(text)
	}
	return base64.StdEncoding.DecodeString(payload)
}
