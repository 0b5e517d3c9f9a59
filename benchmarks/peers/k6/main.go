// k6 with its Redis extension.
package main

import (
	"go.k6.io/k6/cmd"

	_ "github.com/grafana/xk6-redis"
)

func main() { cmd.Execute() }
