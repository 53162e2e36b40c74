//go:build !js

package vectors_test

import (
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
)

func newKeys() suite.Keys { return softkeys.New() }
