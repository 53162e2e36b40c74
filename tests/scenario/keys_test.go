//go:build !js

package scenario

import (
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
)

func newKeys() suite.Keys { return softkeys.New() }
