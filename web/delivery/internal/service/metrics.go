package service

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what Prometheus is told. No label has a value that a client chose.
type metrics struct {
	registry *prometheus.Registry

	refused       prometheus.Counter
	disconnects   *prometheus.CounterVec
	subscriptions prometheus.Gauge
	requests      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	accepted      *prometheus.CounterVec
	commitsStale  prometheus.Counter
	claims        *prometheus.CounterVec
	events        *prometheus.CounterVec
	bytesIn       prometheus.Counter
	bytesOut      prometheus.Counter
}

func newMetrics(s *Service) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "webmls", Subsystem: "delivery", Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "webmls", Subsystem: "delivery", Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry:     prometheus.NewRegistry(),
		refused:      counter("connections_refused_total", "Connections refused for want of room, or while draining."),
		disconnects:  counters("disconnects_total", "Connections that ended, by reason.", "reason"),
		requests:     counters("requests_total", "Requests by operation and outcome: OK, or the code of the error.", "op", "code"),
		accepted:     counters("messages_total", "Messages put into a log, by content type.", "type"),
		commitsStale: counter("commits_stale_total", "Commits not accepted, since another one was first in their epoch."),
		claims:       counters("key_packages_claimed_total", "Claims of key packages: fresh, last_resort or none.", "kind"),
		events:       counters("events_total", "Events sent to clients: message is a message of a log to one subscriber.", "event"),
		bytesIn:      counter("received_bytes_total", "Bytes of frames from clients."),
		bytesOut:     counter("sent_bytes_total", "Bytes of frames to clients."),
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "webmls", Subsystem: "delivery",
			Name: "subscriptions", Help: "Subscriptions to groups."}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "webmls", Subsystem: "delivery",
			Name: "request_seconds", Help: "Time from a request to its reply.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"op"}),
	}
	m.registry.MustRegister(m.refused, m.disconnects, m.subscriptions, m.requests, m.duration, m.accepted,
		m.commitsStale, m.claims, m.events, m.bytesIn, m.bytesOut,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "webmls", Subsystem: "delivery",
			Name: "connections", Help: "Open connections."},
			func() float64 {
				s.mu.Lock()
				defer s.mu.Unlock()
				return float64(len(s.open))
			}),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// request counts a request that was handled.
func (m *metrics) request(op, code string, begun time.Time) {
	m.requests.WithLabelValues(op, code).Inc()
	m.duration.WithLabelValues(op).Observe(time.Since(begun).Seconds())
}
