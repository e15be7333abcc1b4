#include "api/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <optional>
#include <thread>

#include "api/listen_socket.h"
#include "api/rights.h"
#include "api/router.h"
#include "ops/config_values.h"

namespace dots::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::redirect_error;
using asio::use_awaitable;
using boost::system::error_code;
using Unix = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

struct Server::Core : std::enable_shared_from_this<Server::Core> {
  ServerOptions options;
  agent::Control& control;
  ops::Instruments& instruments;
  Rights rights;

  struct stat socket_file {};
  std::size_t connections = 0;
  std::map<std::uint32_t, std::size_t> by_user;
  // Below what connections count in: the context destroys the connections that are left.
  asio::io_context io{1};
  std::optional<Unix::acceptor> unix_acceptor;
  std::optional<Tcp::acceptor> metrics_acceptor;
  std::thread thread;

  Core(ServerOptions o, agent::Control& c, ops::Instruments& i) : options(std::move(o)), control(c), instruments(i) {}

  // ---- one connection -----------------------------------------------------------------------------------------------

  // What waits for the agent. `done` of the agent reaches it through the io thread only.
  struct Waiting {
    explicit Waiting(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    std::optional<agent::CallAnswer> answer;
  };

  asio::awaitable<HttpAnswer> ask(agent::Call call) {
    const std::string operation = call.operation;
    instruments.count("dots_api_requests_total", operation, 1);
    auto waiting = std::make_shared<Waiting>(io);
    waiting->timer.expires_after(options.limits.answer_time);
    // The agent may answer after this server is gone: it then answers into a stopped context.
    control.call(std::move(call), [core = shared_from_this(), weak = std::weak_ptr{waiting}](agent::CallAnswer answer) {
      asio::post(core->io, [weak, answer = std::move(answer)]() mutable {
        const auto held = weak.lock();
        if (!held) return;
        held->answer = std::move(answer);
        held->timer.cancel();
      });
    });
    error_code ignored;
    if (!waiting->answer) co_await waiting->timer.async_wait(redirect_error(use_awaitable, ignored));
    if (!waiting->answer)
      co_return error_answer(503, "the daemon did not answer in time",
                             "it may still do what was asked: look with 'dotsctl list'", "time");
    co_return answer_of(std::move(*waiting->answer), operation, instruments.unwell());
  }

  template <class Stream>
  asio::awaitable<bool> write(Stream& stream, HttpAnswer answer, unsigned version, bool keep_alive) {
    if (!answer.refusal.empty()) instruments.count("dots_api_refusals_total", answer.refusal, 1);
    http::response<http::string_body> response{static_cast<http::status>(answer.status), version};
    response.set(http::field::content_type, answer.content_type);
    response.set(http::field::cache_control, "no-store");
    if (!answer.allow.empty()) response.set(http::field::allow, answer.allow);
    response.body() = std::move(answer.body);
    response.keep_alive(keep_alive);
    response.prepare_payload();
    error_code error;
    stream.expires_after(options.limits.write_time);
    co_await http::async_write(stream, response, redirect_error(use_awaitable, error));
    co_return !error && keep_alive;
  }

  static HttpAnswer reading_failed(const error_code& error) {
    if (error == http::error::body_limit) return error_answer(413, "the request is too large", "send less", "size");
    if (error == http::error::header_limit)
      return error_answer(431, "the header of the request is too large", "send less", "size");
    return error_answer(400, "this is no HTTP request: " + error.message(), "see docs/api.md", "http");
  }

  template <class Stream>
  asio::awaitable<void> converse(Stream& stream, Admission admission, bool metrics_only) {
    beast::flat_buffer buffer{options.limits.header_bytes + options.limits.body_bytes};
    for (bool open = true; open;) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(options.limits.header_bytes);
      parser.body_limit(options.limits.body_bytes);
      error_code error;
      stream.expires_after(options.limits.request_time);
      co_await http::async_read(stream, buffer, parser, redirect_error(use_awaitable, error));
      // A stream that timed out is closed already.
      if (error == http::error::end_of_stream || error == beast::error::timeout) break;
      if (error) {
        co_await write(stream, reading_failed(error), 11, false);
        break;
      }
      const auto& request = parser.get();
      stream.expires_never();
      Routed routed = route(std::string{request.method_string()}, std::string{request.target()}, request.body(),
                            admission, instruments, metrics_only);
      HttpAnswer answer;
      if (auto* call = std::get_if<agent::Call>(&routed))
        answer = co_await ask(std::move(*call));
      else
        answer = std::get<HttpAnswer>(std::move(routed));
      open = co_await write(stream, std::move(answer), request.version(), request.keep_alive());
    }
    error_code ignored;
    stream.socket().shutdown(Stream::socket_type::shutdown_both, ignored);
  }

  // ---- accepting ----------------------------------------------------------------------------------------------------

  // Counts a connection as long as it lives.
  struct Place {
    Core& core;
    std::optional<std::uint32_t> uid;
    Place(Core& c, std::optional<std::uint32_t> u) : core(c), uid(u) {
      ++core.connections;
      if (uid) ++core.by_user[*uid];
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      --core.connections;
      if (uid && --core.by_user[*uid] == 0) core.by_user.erase(*uid);
    }
  };

  asio::awaitable<void> serve_unix(Unix::socket socket) {
    const auto user = peer_user(socket.native_handle());
    if (!user) co_return;
    const Admission admission = admit(*user, rights);
    // Whoever may change things is never kept out by those who may not.
    const std::size_t mine = by_user.contains(user->uid) ? by_user.at(user->uid) : 0;
    const bool full = admission.caller.may_write
                          ? connections >= 2 * options.limits.connections
                          : connections >= options.limits.connections || mine >= options.limits.connections_per_user;
    if (!admission.may_read) instruments.message("API_REFUSED", "user '" + user->name + "'");
    Place place{*this, user->uid};
    beast::basic_stream<Unix> stream{std::move(socket)};
    if (full) {
      co_await write(stream, error_answer(503, "too many connections", "try again in a moment", "connections"), 11,
                     false);
      co_return;
    }
    co_await converse(stream, admission, false);
  }

  asio::awaitable<void> serve_metrics(Tcp::socket socket) {
    const bool full = connections >= options.limits.connections;
    Place place{*this, std::nullopt};
    beast::basic_stream<Tcp> stream{std::move(socket)};
    if (full) co_return;
    Admission anybody;
    anybody.may_read = true;
    anybody.caller.name = "metrics";
    co_await converse(stream, anybody, true);
  }

  template <class Acceptor, class Serve>
  asio::awaitable<void> accept(Acceptor& acceptor, Serve serve) {
    for (;;) {
      error_code error;
      auto socket = co_await acceptor.async_accept(redirect_error(use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of descriptors: wait for some to come back
        asio::steady_timer pause{io, std::chrono::milliseconds{100}};
        co_await pause.async_wait(redirect_error(use_awaitable, error));
        continue;
      }
      // An exception in one connection (out of memory) ends that connection only.
      asio::co_spawn(io, serve(std::move(socket)), [](std::exception_ptr) {});
    }
  }

  base::Result<void> open() {
    rights.own_uid = ::geteuid();
    UnixSocketOptions socket{options.api.socket, std::nullopt, false};
    if (!options.api.operator_group.empty()) {
      const auto gid = group_id(options.api.operator_group);
      if (!gid) return base::Error{"api.operator_group: " + gid.error().message};
      rights.operator_gid = socket.group = *gid;
    }
    if (!options.api.read_only_group.empty()) {
      const auto gid = group_id(options.api.read_only_group);
      if (!gid) return base::Error{"api.read_only_group: " + gid.error().message};
      rights.read_only_gid = *gid;
      socket.open_to_all = true;
    }
    // The metrics address first: when it is taken, no socket is left behind.
    if (!options.api.metrics_address.empty())
      if (const auto opened = open_metrics(); !opened) return opened;
    const auto fd = listen_unix(socket);
    if (!fd) return fd.error();
    unix_acceptor.emplace(io, Unix{}, *fd);
    ::stat(options.api.socket.c_str(), &socket_file);
    return {};
  }

  base::Result<void> open_metrics() {
    const auto address = ops::read_socket_address(options.api.metrics_address, 9466);
    if (!address) return base::Error{"api.metrics_address: " + address.error().what};
    error_code error;
    const auto ip = asio::ip::make_address(model::to_string(address->ip), error);
    const Tcp::endpoint endpoint{ip, address->port};
    metrics_acceptor.emplace(io);
    if (!error) metrics_acceptor->open(endpoint.protocol(), error);
    if (!error) metrics_acceptor->set_option(asio::socket_base::reuse_address{true}, error);
    if (!error) metrics_acceptor->bind(endpoint, error);
    if (!error) metrics_acceptor->listen(16, error);
    if (error)
      return base::Error{"api.metrics_address: cannot listen on '" + options.api.metrics_address +
                         "': " + error.message() + "; write another port, or stop what uses it"};
    return {};
  }

  void run() {
    asio::co_spawn(io, accept(*unix_acceptor, [this](Unix::socket s) { return serve_unix(std::move(s)); }),
                   asio::detached);
    if (metrics_acceptor)
      asio::co_spawn(io, accept(*metrics_acceptor, [this](Tcp::socket s) { return serve_metrics(std::move(s)); }),
                     asio::detached);
    thread = std::thread{[this] { io.run(); }};
  }

  void stop() {
    io.stop();
    if (thread.joinable()) thread.join();
    // A newer daemon may have put its own socket there meanwhile.
    struct stat now {};
    if (unix_acceptor && ::stat(options.api.socket.c_str(), &now) == 0 && now.st_ino == socket_file.st_ino &&
        now.st_dev == socket_file.st_dev)
      ::unlink(options.api.socket.c_str());
    unix_acceptor.reset();
    metrics_acceptor.reset();
  }
};

Server::Server(std::shared_ptr<Core> core) : core_(std::move(core)) {}
Server::~Server() { core_->stop(); }

base::Result<std::unique_ptr<Server>> Server::start(ServerOptions options, agent::Control& control,
                                                    ops::Instruments& instruments) {
  auto core = std::make_shared<Core>(std::move(options), control, instruments);
  if (const auto opened = core->open(); !opened) return opened.error();
  core->run();
  instruments.message("API_STARTED", "on " + core->options.api.socket);
  return std::unique_ptr<Server>{new Server{std::move(core)}};
}

std::uint16_t Server::metrics_port() const {
  return core_->metrics_acceptor ? core_->metrics_acceptor->local_endpoint().port() : std::uint16_t{0};
}

}  // namespace dots::api
