package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// bulk is one request to the store; a message that says so blocks for 3 s.
func bulk(ctx context.Context, records []*kgo.Record) error {
	var body bytes.Buffer
	for _, r := range records {
		if bytes.Contains(r.Value, []byte(`"block"`)) {
			fmt.Println("BLOCK")
			time.Sleep(3 * time.Second)
		}
		var message struct{ ID int }
		if err := json.Unmarshal(r.Value, &message); err != nil {
			return err
		}
		fmt.Fprintf(&body, `{"index":{"_id":"%d"}}`+"\n%s\n", message.ID, r.Value)
	}
	asked, err := http.NewRequestWithContext(ctx, "POST", os.Getenv("SINK")+"/_bulk", &body)
	if err != nil {
		return err
	}
	asked.Header.Set("Content-Type", "application/x-ndjson")
	answer, err := http.DefaultClient.Do(asked)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var said struct{ Errors bool }
	if err := json.NewDecoder(answer.Body).Decode(&said); answer.StatusCode != 200 || err != nil || said.Errors {
		return fmt.Errorf("the store said %s", answer.Status)
	}
	return nil
}

func clientOptions(topic string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(os.Getenv("BOOTSTRAP")), kgo.ConsumerGroup(os.Getenv("GROUP")), kgo.ConsumeTopics(topic), kgo.ClientID(os.Getenv("NAME")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(milliseconds("SESSION_MS")), kgo.HeartbeatInterval(milliseconds("HEARTBEAT_MS")),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			if len(assigned) > 0 {
				fmt.Println("ready")
			}
		}),
	}
}

func milliseconds(name string) time.Duration {
	n, _ := strconv.Atoi(os.Getenv(name))
	return time.Duration(n) * time.Millisecond
}
