module webmls

go 1.26

require (
	github.com/cloudflare/circl v1.6.5
	golang.org/x/crypto v0.58.0
)
