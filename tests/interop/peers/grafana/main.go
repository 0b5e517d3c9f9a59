// Reads a dashboard from standard input as Grafana's own library does, strictly: fields that its schema does not have,
// lacks, or has in another form are errors.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	board := dashboard.Dashboard{}
	// Its errors are a list, which is returned also if it is empty: findings/grafana-sdk-strict.sh.
	var found cog.BuildErrors
	if err := board.UnmarshalJSONStrict(text); err != nil && !(errors.As(err, &found) && len(found) == 0) {
		log.Fatal(err)
	}
	if err := board.Validate(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(board.Panels), "panels")
}
