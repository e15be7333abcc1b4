#include "adapters/http/web_call.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "adapters/http/https_client.h"
#include "adapters/net/event_loop.h"
#include "adapters/net/tls_channel.h"

namespace dots::adapters::http {
namespace {

base::Result<std::unique_ptr<ports::ChannelConnector>> connector_for(const WebCall& call) {
  net::CredentialSources sources;
  sources.ca_file = call.ca_file;
  sources.anonymous = true;
  auto credentials = net::Credentials::load(sources, net::Side::client, net::clock_now().wall);
  if (!credentials) return base::Error{to_string(credentials.error().front())};
  return std::unique_ptr<ports::ChannelConnector>(
      std::make_unique<net::TlsConnector>(*credentials, net::Resumption{}, "http/1.1"));
}

HttpsClientOptions options_of(const WebCall& call) {
  HttpsClientOptions options;
  options.server_name = call.to.host;
  const bool v6 = call.to.host.find(':') != std::string::npos;
  options.host = v6 ? "[" + call.to.host + "]" : call.to.host;
  if (call.to.port != 443) options.host += ":" + std::to_string(call.to.port);
  options.limits.answer.body_bytes = call.answer_bytes;
  options.limits.connect_time = call.timeout;
  options.limits.answer_time = call.timeout;
  return options;
}

// A look-up may end when the call is over: whoever is last ends it.
struct Running {
  Running(const WebCall& call, std::unique_ptr<ports::ChannelConnector> c, HttpsClient::Resolve resolve)
      : connector(std::move(c)), client(options_of(call), loop, *connector, std::move(resolve)) {}

  net::EventLoop loop;
  const std::unique_ptr<ports::ChannelConnector> connector;
  HttpsClient client;
  std::optional<ports::HttpOutcome> outcome;
};

HttpsClient::Resolve addresses_of(const WebCall& call, const std::shared_ptr<std::weak_ptr<Running>>& running) {
  if (const auto ip = model::parse_ip_address(call.to.host)) {
    return [address = model::SocketAddress{*ip, call.to.port}](auto found) {
      found(HttpsClient::Addresses(std::vector{address}));
    };
  }
  return [&call, running](auto found) {
    if (call.resolver == nullptr) return found(base::Error{"there is no resolver for " + call.to.host});
    call.resolver->resolve(call.to.host, [running, found, port = call.to.port](const ports::Resolution& answer) {
      const auto there = running->lock();
      if (!there) return;
      HttpsClient::Addresses addresses = std::vector<model::SocketAddress>{};
      for (const model::IpAddress& ip : answer.addresses) addresses->push_back({ip, port});
      if (answer.outcome != ports::Resolution::Outcome::answered) {
        addresses = base::Error{"the name " + answer.name + " cannot be resolved: " + answer.reason};
      }
      there->loop.post([found, addresses] { found(addresses); });
    });
  };
}

}  // namespace

base::Result<WebAddress> parse_web_address(const std::string& url) {
  WebAddress out;
  const auto wrong = [&](const char* why) { return base::Error{"'" + url + "' " + why}; };
  if (!url.starts_with("https://")) return wrong("is no https address of a web service");
  const std::size_t begin = url.find("://") + 3;
  const std::size_t end = std::min(url.find_first_of("/?", begin), url.size());
  std::string authority = url.substr(begin, end - begin);
  if (end < url.size()) out.target = (url[end] == '?' ? "/" : "") + url.substr(end);
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string::npos) return wrong("has a bracket that is not closed");
  if (const auto colon = authority.find(':', bracket); colon != std::string::npos) {
    const char* last = authority.data() + authority.size();
    const auto read = std::from_chars(authority.data() + colon + 1, last, out.port);
    if (read.ec != std::errc{} || read.ptr != last || out.port == 0) return wrong("has no port that could be used");
    authority.resize(colon);
  }
  out.host = bracket == 0 ? authority : authority.substr(1, bracket - 1);
  const bool plain = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (out.host.empty() || !plain || out.host.find('@') != std::string::npos) return wrong("has no host");
  return out;
}

ports::HttpOutcome make_web_call(const WebCall& call) {
  auto connector = connector_for(call);
  if (!connector) return ports::HttpFailure{connector.error().message, false};
  const auto self = std::make_shared<std::weak_ptr<Running>>();
  const auto running = std::make_shared<Running>(call, std::move(*connector), addresses_of(call, self));
  *self = running;
  Running& r = *running;
  const base::SteadyTime deadline = r.loop.now().steady + call.timeout;
  net::EventLoop::Handlers handlers;
  handlers.on_datagrams = [&r](std::span<model::Datagram> pieces) {
    for (const model::Datagram& piece : pieces) r.client.on_bytes(piece.path, piece.bytes);
  };
  handlers.on_stream_ended = [&r](const model::Path& path, const std::string& why) {
    r.client.on_stream_ended(path, why);
  };
  handlers.on_deadline = [&] {
    r.client.on_timer();
    if (!r.outcome && r.loop.now().steady >= deadline) {
      r.outcome = ports::HttpFailure{"no answer in " + std::to_string(call.timeout.count()) + " ms", true};
    }
  };
  handlers.after_round = [&] {
    if (r.outcome) return r.loop.stop();
    r.loop.set_deadline(std::min(deadline, r.client.deadline().value_or(deadline)));
  };
  r.loop.set_handlers(std::move(handlers));
  r.loop.post(
      [&] { r.client.ask(call.request, [&r](ports::HttpOutcome outcome) { r.outcome = std::move(outcome); }); });
  r.loop.run();
  r.loop.set_handlers({});
  return std::move(*r.outcome);
}

}  // namespace dots::adapters::http
