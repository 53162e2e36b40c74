package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"go.yaml.in/yaml/v3"
)

// The files in deploy/ are checked as far as that goes without containers: they
// parse, with known fields only, and fit each other, the flags of the command,
// and the folders of the repository.

type composeFile struct {
	Name     string
	NATS     any `yaml:"x-nats"`
	Delivery any `yaml:"x-delivery"`
	Services map[string]composeService
	Networks map[string]struct {
		Internal bool
	}
	Volumes map[string]struct{}
}

type composeService struct {
	Image string
	Build struct{ Context, Dockerfile string }

	Command     []string
	Environment map[string]string
	Networks    []string
	Ports       []string
	Volumes     []string
	Restart     string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	ReadOnly    bool                                  `yaml:"read_only"`
	CapDrop     []string                              `yaml:"cap_drop"`
	StopGrace   string                                `yaml:"stop_grace_period"`
	Healthcheck struct {
		Test              []string
		Interval, Timeout string
		Retries           int
	}
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	b, err := os.ReadFile("deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	var compose composeFile
	if err := decoder.Decode(&compose); err != nil {
		t.Fatal(err)
	}
	return compose
}

func TestCompose(t *testing.T) {
	compose := readCompose(t)
	names := slices.Sorted(maps.Keys(compose.Services))
	if want := []string{"delivery1", "delivery2", "nats1", "nats2", "nats3"}; !slices.Equal(names, want) {
		t.Fatalf("services %v", names)
	}
	ports := make(map[string]bool)
	for name, s := range compose.Services {
		for _, network := range s.Networks {
			if _, ok := compose.Networks[network]; !ok {
				t.Errorf("%s: no network %s", name, network)
			}
		}
		for _, volume := range s.Volumes {
			source := strings.Split(volume, ":")[0]
			if _, ok := compose.Volumes[source]; ok {
				continue
			}
			if _, err := os.Stat(filepath.Join("deploy", source)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, port := range s.Ports {
			host, _, _ := strings.Cut(port, ":")
			if host != "127.0.0.1" || ports[port] {
				t.Errorf("%s: published at %s", name, port)
			}
			ports[port] = true
		}
		for other, on := range s.DependsOn {
			if _, ok := compose.Services[other]; !ok || on.Condition != "service_healthy" {
				t.Errorf("%s depends on %s: %s", name, other, on.Condition)
			}
		}
		if len(s.Healthcheck.Test) == 0 || s.Restart == "" {
			t.Errorf("%s: nobody looks after it", name)
		}
	}

	for _, name := range []string{"delivery1", "delivery2"} {
		s := compose.Services[name]
		o, err := parse(s.Command)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, url := range strings.Split(o.store.URL, ",") {
			server := strings.TrimSuffix(strings.TrimPrefix(url, "nats://"), ":4222")
			if _, ok := compose.Services[server]; !ok || s.DependsOn[server].Condition == "" {
				t.Errorf("%s: no server %s to wait for", name, url)
			}
		}
		if strings.Count(o.store.URL, ",") != 2 {
			t.Errorf("%s knows %s", name, o.store.URL)
		}
		check, err := parse(s.Healthcheck.Test[2:])
		_, adminPort, _ := strings.Cut(o.admin, ":")
		if err != nil || check.probe != "http://127.0.0.1:"+adminPort+"/readyz" {
			t.Errorf("%s: the health check asks %q: %v", name, check.probe, err)
		}
		for _, published := range s.Ports {
			inside := published[strings.LastIndexByte(published, ':')+1:]
			if !strings.HasSuffix(o.listen, ":"+inside) && inside != adminPort {
				t.Errorf("%s: nobody listens on %s", name, published)
			}
		}
	}
}

func TestNATSConfiguration(t *testing.T) {
	compose := readCompose(t)
	for _, name := range []string{"nats1", "nats2", "nats3"} {
		s := compose.Services[name]
		if len(s.Ports) > 0 {
			t.Errorf("%s: published at %v", name, s.Ports)
		}
		if !slices.Equal(s.Networks, []string{"store"}) || !compose.Networks["store"].Internal {
			t.Errorf("%s: on networks %v", name, s.Networks)
		}
		for variable, value := range s.Environment {
			t.Setenv(variable, value)
		}
		options, err := server.ProcessConfigFile("deploy/nats.conf")
		if err != nil {
			t.Fatal(err)
		}
		if options.ServerName != name || !options.JetStream || options.Port != 4222 || options.Cluster.Name == "" || options.Cluster.Port != 6222 {
			t.Errorf("%s: %q, JetStream %v, port %d, cluster %q, %d", name, options.ServerName, options.JetStream, options.Port, options.Cluster.Name, options.Cluster.Port)
		}
		if options.MaxPayload < 16<<20 {
			t.Errorf("%s: payloads of %d bytes", name, options.MaxPayload)
		}
		if !slices.Contains(s.Volumes, name+":"+options.StoreDir) {
			t.Errorf("%s: %s is in none of %v", name, options.StoreDir, s.Volumes)
		}
		var routes []string
		for _, route := range options.Routes {
			routes = append(routes, route.String())
		}
		if !slices.Equal(routes, []string{"nats://nats1:6222", "nats://nats2:6222", "nats://nats3:6222"}) {
			t.Errorf("%s: routes %v", name, routes)
		}
	}
}

// The folders that the image is built of are there, and the entry point is what
// the build makes.
func TestContainerfile(t *testing.T) {
	compose := readCompose(t)
	build := compose.Services["delivery1"].Build
	context := filepath.Join("deploy", build.Context)
	b, err := os.ReadFile(filepath.Join(context, build.Dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	copied, stage := 0, 0
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		switch words[0] {
		case "FROM":
			stage++
			if stage == 1 && !strings.HasPrefix(words[1], "golang:1.26") {
				t.Errorf("built with %s", words[1])
			}
		case "COPY":
			if strings.HasPrefix(words[1], "--from=") {
				continue
			}
			for _, source := range words[1 : len(words)-1] {
				copied++
				if _, err := os.Stat(filepath.Join(context, source)); err != nil {
					t.Error(err)
				}
			}
		case "ENTRYPOINT":
			if !strings.Contains(line, `"/delivery"`) {
				t.Errorf("the entry point is %s", line)
			}
		}
	}
	if copied != 4 || stage != 2 {
		t.Errorf("%d sources, %d stages", copied, stage)
	}
}

// Where there is docker compose, it has the last word on its file.
func TestComposeByCompose(t *testing.T) {
	docker, err := exec.LookPath("docker")
	if err != nil || exec.Command(docker, "compose", "version").Run() != nil {
		t.Skip("no docker compose here: its file is checked without")
	}
	if out, err := exec.Command(docker, "compose", "-f", "deploy/compose.yaml", "config", "-q").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
