// Orders from Kafka into a search index: written, then committed.
//
//	BOOTSTRAP=127.0.0.1:9092 GROUP=indexer TOPIC=orders SINK=http://127.0.0.1:9200/orders ./indexer
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/graceshut/graceshut/bindings-go/franz"
	"github.com/twmb/franz-go/pkg/kgo"
)

func bulk(ctx context.Context, records []*kgo.Record) error {
	var body bytes.Buffer
	for _, r := range records {
		var order struct{ ID int }
		if err := json.Unmarshal(r.Value, &order); err != nil {
			return err
		}
		fmt.Fprintf(&body, `{"index":{"_id":"%d"}}`+"\n%s\n", order.ID, r.Value)
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
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || answer.StatusCode != 200 || said.Errors {
		return fmt.Errorf("not all of the batch was taken: %s %v", answer.Status, err)
	}
	return nil
}

func main() {
	gs, err := graceshut.Install()
	if err != nil {
		log.Fatal(err)
	}
	gs.Main(func() error {
		return franz.Batches{Runtime: gs, Write: bulk, Size: 500, Every: 5 * time.Second}.Run(
			kgo.SeedBrokers(os.Getenv("BOOTSTRAP")), kgo.ConsumerGroup(os.Getenv("GROUP")), kgo.ConsumeTopics(os.Getenv("TOPIC")),
			kgo.ClientID(cmp.Or(os.Getenv("NAME"), "indexer")), kgo.HeartbeatInterval(time.Second),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { fmt.Println("ready") }),
		)
	})
}
