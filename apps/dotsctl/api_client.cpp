#include "dotsctl/api_client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

namespace dots::dotsctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;
using boost::system::error_code;
using Unix = asio::local::stream_protocol;

constexpr std::uint64_t kMaxAnswerBytes = 256u << 20;

ApiReply unreachable(const std::string& socket, const error_code& error) {
  ApiReply reply;
  if (error == boost::system::errc::no_such_file_or_directory) {
    reply.why = "no daemon: there is no socket '" + socket + "'";
    reply.next_step = "start dotsd, or name its socket with --socket, or its configuration with --config";
  } else if (error == boost::system::errc::connection_refused) {
    reply.why = "no daemon listens on '" + socket + "'";
    reply.next_step = "start dotsd; its log says why it ended";
  } else if (error == boost::system::errc::permission_denied) {
    reply.why = "you may not use '" + socket + "'";
    reply.next_step = "become root, or a member of the group in api.operator_group";
  } else if (error == beast::error::timeout) {
    reply.why = "the daemon on '" + socket + "' does not answer";
    reply.next_step = "try again; 'dotsctl status' and the daemon's log may tell why";
  } else {
    reply.why = "the daemon on '" + socket + "' cannot be reached: " + error.message();
    reply.next_step = "try again";
  }
  return reply;
}

}  // namespace

ApiReply call_api(const std::string& socket, const std::string& operation, const json::object& arguments,
                  std::chrono::milliseconds patience) {
  asio::io_context io;
  beast::basic_stream<Unix> stream{io};
  error_code result = asio::error::would_block;
  const auto wait = [&](auto start) {
    result = asio::error::would_block;
    stream.expires_after(patience);
    start([&result](const error_code& error, auto...) { result = error; });
    io.restart();
    io.run();
    return !result;
  };
  if (socket.size() > 107) return unreachable(socket, make_error_code(boost::system::errc::no_such_file_or_directory));
  if (!wait([&](auto done) { stream.async_connect(Unix::endpoint{socket}, done); })) return unreachable(socket, result);

  http::request<http::string_body> request{http::verb::post, "/v1/" + operation, 11};
  request.set(http::field::host, "dotsd");
  request.set(http::field::content_type, "application/json");
  request.keep_alive(false);
  request.body() = json::serialize(arguments);
  request.prepare_payload();
  if (!wait([&](auto done) { http::async_write(stream, request, done); })) return unreachable(socket, result);

  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxAnswerBytes);
  if (!wait([&](auto done) { http::async_read(stream, buffer, parser, done); })) return unreachable(socket, result);

  ApiReply reply;
  reply.status = parser.get().result_int();
  error_code error;
  reply.body = json::parse(parser.get().body(), error);
  if (error) {
    reply.why = "the daemon's answer is no JSON";
    reply.next_step = "is '" + socket + "' really the socket of dotsd?";
    return reply;
  }
  reply.reached = true;
  return reply;
}

}  // namespace dots::dotsctl
