// A name server on the loopback that answers by a script.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/ip.h"

namespace dots::tests {

inline constexpr std::uint16_t kDnsA = 1;
inline constexpr std::uint16_t kDnsAaaa = 28;

// What one question (name and type) is answered with.
struct DnsAnswer {
  enum class Manner : std::uint8_t {
    normal,
    silent,
    garbage,         // bytes that are no DNS message
    other_question,  // a well-formed answer to a question that nobody asked
    truncated,       // TC over UDP, the whole over TCP
  };
  struct Alias {
    std::string to;
    std::uint32_t ttl_s = 0;
  };
  struct Record {
    model::IpAddress address;
    std::uint32_t ttl_s = 0;
  };
  Manner manner = Manner::normal;
  std::uint8_t rcode = 0;      // 2 SERVFAIL, 3 NXDOMAIN
  std::vector<Alias> aliases;  // a chain of CNAMEs from the name on; the records belong to its end
  std::vector<Record> records;
};

// Threads: its own, from the constructor to the destructor; the script may be changed at any time. A question without a
// script gets NXDOMAIN.
class DnsServer {
 public:
  DnsServer();
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  std::string address() const;  // "127.0.0.1:40000"
  void script(const std::string& name, std::uint16_t type, DnsAnswer answer);
  // Both families of the name.
  void script(const std::string& name, const DnsAnswer& answer);
  // How often it was asked, over UDP and TCP.
  std::size_t asked(const std::string& name, std::uint16_t type) const;

 private:
  void run();
  std::vector<std::uint8_t> reply_to(const std::vector<std::uint8_t>& query, bool tcp);
  void serve_tcp();

  int udp_ = -1;
  int tcp_ = -1;
  int stop_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::uint16_t>, DnsAnswer> script_;   // guarded by mutex_
  std::map<std::pair<std::string, std::uint16_t>, std::size_t> asked_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace dots::tests
