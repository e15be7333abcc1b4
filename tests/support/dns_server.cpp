#include "tests/support/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>

namespace dots::tests {
namespace {

using Message = std::vector<std::uint8_t>;
constexpr std::size_t kHeader = 12;

void put16(Message& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8 & 0xFF));
  out.push_back(static_cast<std::uint8_t>(value & 0xFF));
}
void put32(Message& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xFFFF);
}
void put_name(Message& out, std::string_view name) {
  while (!name.empty()) {
    const auto end = std::min(name.find('.'), name.size());
    out.push_back(static_cast<std::uint8_t>(end));
    out.insert(out.end(), name.begin(), name.begin() + static_cast<std::ptrdiff_t>(end));
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  out.push_back(0);
}

// The first question: its name in lower case, and where it ends. An empty name when there is none.
std::string read_question(const Message& query, std::uint16_t& type, std::size_t& end) {
  std::string name;
  std::size_t at = kHeader;
  while (at < query.size() && query[at] != 0) {
    const std::size_t length = query[at++];
    if (length > 63 || at + length > query.size()) return {};
    if (!name.empty()) name += '.';
    for (std::size_t i = 0; i < length; ++i) {
      const char c = static_cast<char>(query[at + i]);
      name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    at += length;
  }
  if (at + 5 > query.size()) return {};
  type = static_cast<std::uint16_t>(query[at + 1] << 8 | query[at + 2]);
  end = at + 5;
  return name;
}

void put_record(Message& out, std::string_view owner, std::uint16_t type, std::uint32_t ttl_s, const Message& data) {
  put_name(out, owner);
  put16(out, type);
  put16(out, 1);
  put32(out, ttl_s);
  put16(out, data.size());
  out.insert(out.end(), data.begin(), data.end());
}

}  // namespace

DnsServer::DnsServer() {
  // TCP and UDP on one port: the kernel picks it for the one, and it may be taken for the other
  for (int attempt = 0; attempt < 50 && tcp_ < 0; ++attempt) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool bound = ::bind(udp_, generic, size) == 0 && ::getsockname(udp_, generic, &size) == 0;
    tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bound && ::bind(tcp_, generic, size) == 0 && ::listen(tcp_, 8) == 0) {
      port_ = ntohs(address.sin_port);
      break;
    }
    ::close(udp_);
    ::close(tcp_);
    tcp_ = -1;
  }
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  if (tcp_ < 0 || stop_ < 0) throw std::runtime_error("no port for the name server of the test");
  thread_ = std::thread([this] { run(); });
}

DnsServer::~DnsServer() {
  ::eventfd_write(stop_, 1);
  thread_.join();
  for (const int fd : {udp_, tcp_, stop_}) ::close(fd);
}

std::string DnsServer::address() const { return "127.0.0.1:" + std::to_string(port_); }

void DnsServer::script(const std::string& name, std::uint16_t type, DnsAnswer answer) {
  const std::lock_guard lock(mutex_);
  script_[{name, type}] = std::move(answer);
}

void DnsServer::script(const std::string& name, const DnsAnswer& answer) {
  script(name, kDnsA, answer);
  script(name, kDnsAaaa, answer);
}

std::size_t DnsServer::asked(const std::string& name, std::uint16_t type) const {
  const std::lock_guard lock(mutex_);
  const auto it = asked_.find({name, type});
  return it == asked_.end() ? 0 : it->second;
}

void DnsServer::run() {
  for (;;) {
    pollfd fds[] = {{stop_, POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0 || fds[0].revents != 0) return;
    if (fds[1].revents != 0) {
      Message query(4096);
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t n = ::recvfrom(udp_, query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      query.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
      const Message reply = reply_to(query, false);
      if (!reply.empty()) ::sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
    if (fds[2].revents != 0) serve_tcp();
  }
}

void DnsServer::serve_tcp() {
  const int fd = ::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  std::uint8_t prefix[2];
  // one question after the other, until the client has none for half a second
  for (;;) {
    pollfd readable{fd, POLLIN, 0};
    if (::poll(&readable, 1, 500) <= 0 || ::recv(fd, prefix, 2, MSG_WAITALL) != 2) break;
    Message query(static_cast<std::size_t>(prefix[0] << 8 | prefix[1]));
    if (::recv(fd, query.data(), query.size(), MSG_WAITALL) != static_cast<ssize_t>(query.size())) break;
    const Message reply = reply_to(query, true);
    Message framed;
    put16(framed, reply.size());
    framed.insert(framed.end(), reply.begin(), reply.end());
    if (::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL) < 0) break;
  }
  ::close(fd);
}

std::vector<std::uint8_t> DnsServer::reply_to(const std::vector<std::uint8_t>& query, bool tcp) {
  if (query.size() < kHeader) return {};
  std::uint16_t type = 0;
  std::size_t end = 0;
  const std::string name = read_question(query, type, end);
  if (name.empty()) return {};
  DnsAnswer answer;
  answer.rcode = 3;
  {
    const std::lock_guard lock(mutex_);
    ++asked_[{name, type}];
    if (const auto it = script_.find({name, type}); it != script_.end()) answer = it->second;
  }
  using Manner = DnsAnswer::Manner;
  if (answer.manner == Manner::silent) return {};
  if (answer.manner == Manner::garbage) return {query[0], query[1], 0xFF, 0x80, 0x01};
  const bool cut = answer.manner == Manner::truncated && !tcp;
  Message out{query[0], query[1]};
  out.push_back(static_cast<std::uint8_t>(0x81 | (cut ? 0x02 : 0)));  // QR, RD, TC
  out.push_back(static_cast<std::uint8_t>(0x80 | answer.rcode));      // RA
  put16(out, 1);
  put16(out, cut ? 0 : answer.aliases.size() + answer.records.size());
  put16(out, 0);
  put16(out, 0);
  if (answer.manner == Manner::other_question) {
    put_name(out, "other.example");
    put16(out, type);
    put16(out, 1);
  } else {
    out.insert(out.end(), query.begin() + kHeader, query.begin() + static_cast<std::ptrdiff_t>(end));
  }
  if (cut) return out;
  std::string owner = answer.manner == Manner::other_question ? "other.example" : name;
  for (const auto& alias : answer.aliases) {
    Message target;
    put_name(target, alias.to);
    put_record(out, owner, 5, alias.ttl_s, target);
    owner = alias.to;
  }
  for (const auto& record : answer.records) {
    const auto& bytes = record.address.bytes;
    const bool v4 = record.address.family == model::Family::ipv4;
    put_record(out, owner, v4 ? kDnsA : kDnsAaaa, record.ttl_s, Message(bytes.begin(), bytes.begin() + (v4 ? 4 : 16)));
  }
  return out;
}

}  // namespace dots::tests
