// The requests of the workloads, and what is a right answer to each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/mitigation.h"

namespace dots::bench {

struct Outgoing {
  base::Bytes message;
  std::uint64_t tag = 0;  // given back with the answer
};

struct Workload {
  std::string name;
  std::function<Outgoing(std::size_t lane, std::uint16_t message_id, base::ByteView token)> make;
  // What is wrong with the answer; nothing when it is right.
  std::function<std::optional<std::string>(base::ByteView answer, std::uint64_t tag)> check;
};

// Where requests go: the lanes take turns over so many domains, numbered from `first` on.
struct Spread {
  std::size_t domains = 1;
  std::size_t first = 0;  // 0: the one that all can share

  std::size_t number_of(std::size_t lane) const { return first + lane % domains; }
};

// Mids of one domain are never used twice; shared by the workloads of one daemon.
class Mids {
 public:
  explicit Mids(Spread spread) : spread_(spread), used_(spread.domains) {}
  std::uint32_t take(std::size_t lane) { return ++used_[lane % spread_.domains]; }
  std::uint32_t used(std::size_t lane) const { return used_[lane % spread_.domains]; }
  std::size_t total() const;
  const Spread& spread() const { return spread_; }

 private:
  Spread spread_;
  std::vector<std::uint32_t> used_;
};

Workload heartbeats();
// A mitigation with a target of its own.
Workload put_new(std::shared_ptr<Mids> mids);
// REQUIRES: put_new was answered for at least one mid of each lane's domain.
Workload get_one(std::shared_ptr<Mids> mids);
base::Bytes get_of(std::uint32_t mid, std::uint16_t message_id, base::ByteView token);
// The status that an answer to get_of tells; nothing when it is no such answer.
std::optional<model::MitigationStatus> status_in(base::ByteView answer, std::uint32_t mid);
Workload refresh(std::shared_ptr<Mids> mids);
// For the references; sizes of both directions.
Workload echo(std::size_t request_bytes, std::size_t answer_bytes);

// Of domain number i: its owned prefix is 2001:db8:<0x1000 + i>::/48.
std::string domain_prefix(std::size_t domain);

}  // namespace dots::bench
