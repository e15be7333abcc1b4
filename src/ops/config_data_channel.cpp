#include "ops/config_keys.h"
#include "ops/config_sections.h"

namespace dots::ops {

using namespace keys;

SectionSpec data_channel_section() {
  using D = DataChannelConfig;
  SectionSpec s = section("data_channel", ForRole::server);
  s.meaning =
      "The data channel (RFC 8783): HTTPS where clients configure aliases and filters, with the credentials and "
      "domains "
      "of the signal channel. Off without `listen`.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->data_channel; };
  s.keys = {
      by_default("none: off", list<D>("listen", &D::listen, "list of addresses", 16, https_address,
                                      {"Addresses and ports; the port is 443 when left out.",
                                       "[\"192.0.2.1:443\", \"[2001:db8::1]:443\"]"})),
      number<D>("connections", &D::connections, "", {1, 20000},
                {"Connections at a time, handshakes included; a further one is closed.", "1000"}),
      number<D>("connections_per_prefix", &D::connections_per_prefix, "", {1, 20000},
                {"... from one IPv4 /24 or IPv6 /48.", "100"}),
      number<D>("connections_per_domain", &D::connections_per_domain, "", {1, 20000},
                {"... of the clients of one domain; a request on a further one is answered 503.", "100"}),
      number<D>("header_bytes", &D::header_bytes, "bytes", {2048, 65000},
                {"Request line and header section of one request (431); half of it for the target (414).", "16384"}),
      number<D>("body_bytes", &D::body_bytes, "bytes", {65536, 1 << 28},
                {"Body of one request; a larger one is answered 413.", "4194304"}),
      number<D>("waiting_bytes", &D::waiting_bytes, "bytes", {1 << 20, 1LL << 31},
                {"Bodies that come and answers that go, of all connections together; past it those over 64 KB are "
                 "answered 503.",
                 "67108864"}),
      number<D>("waiting_bytes_per_domain", &D::waiting_bytes_per_domain, "bytes", {1 << 20, 1LL << 31},
                {"... of the connections of one domain; an answer has at most half of it, and a larger one is refused "
                 "with the advice to ask for less.",
                 "33554432"}),
      number<D>(
          "requests_per_s", &D::requests_per_s, "requests per second", {1, kMillion},
          {"Requests that one domain may make in the long run; further ones are answered 429. A body or an answer "
           "counts as one more for each 64 KB.",
           "200"}),
      number<D>("requests_burst", &D::requests_burst, "requests", {1, kMillion},
                {"... and at once, after a pause.", "400"}),
      seconds<D>("handshake_time_s", &D::handshake_time, {1, 300},
                 {"A TLS handshake that takes longer is given up.", "10"}),
      seconds<D>("idle_time_s", &D::idle_time, {1, 86400},
                 {"A connection without a request is closed after this.", "300"}),
      seconds<D>("header_time_s", &D::header_time, {1, 300},
                 {"From the first byte of a request to the end of its header; then 408.", "10"}),
      seconds<D>("stall_time_s", &D::stall_time, {1, 300},
                 {"16 KB of a body must come in this time (408), and of an answer go, or the connection ends.", "20"}),
      boolean<D>(
          "qualified_identities", &D::qualified_identities,
          {"Write `ietf-access-control-list:drop` (RFC 7951) and not `drop` as RFC 8783 prints it? Both are read.",
           "false"}),
  };
  return s;
}

SectionSpec filter_control_section() {
  using F = FilterControlConfig;
  SectionSpec s = section("filter_control", ForRole::server);
  s.meaning =
      "Filters of the data channel that clients switch over the signal channel (RFC 9133), also while the data channel "
      "cannot be reached.";
  s.open = [](void* parent) -> void* { return &static_cast<Config*>(parent)->filter_control; };
  s.keys = {
      choice<F>("mode", &F::mode,
                Choices<FilterControl>{{"on", FilterControl::on},
                                       {"when-mitigating", FilterControl::when_mitigating},
                                       {"off", FilterControl::off}},
                {"`on`: with any request that begins a mitigation at once, or while one of the client runs; "
                 "`when-mitigating`: only while one runs; `off`: such requests are refused.",
                 "\"on\""}),
  };
  return s;
}

}  // namespace dots::ops
