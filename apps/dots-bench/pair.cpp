#include "dots-bench/pair.h"

#include <fmt/format.h>

#include <utility>

#include "dots-bench/rig.h"

namespace dots::bench {
namespace {

std::size_t whole(double bytes) { return static_cast<std::size_t>(bytes + 0.5); }

void keep(Row& row, Measured&& measured) {
  row.request_datagram_bytes = measured.load.request_datagram_bytes;
  row.answer_datagram_bytes = measured.load.answer_datagram_bytes;
  row.samples.push_back(std::move(measured.sample));
}

}  // namespace

base::Result<void> measure_pair(const RunOptions& options, Target& target, const Workload& workload,
                                std::uint64_t requests, Row& row, Beside beside) {
  auto measured = measure(target, workload, requests, options.in_flight);
  if (!measured) return base::Error{row.name + ": " + measured.error().message};
  const LoadResult& load = measured->load;
  auto bare = measure(beside.dtls, echo(whole(load.request_bytes), whole(load.answer_bytes)), options.requests,
                      options.in_flight);
  if (!bare) return base::Error{std::string{kDtlsEcho} + ": " + bare.error().message};
  row.ratios.push_back(measured->sample.per_cpu_s() / bare->sample.per_cpu_s());
  say(fmt::format("  {:<36} {:>9.0f}/cpu s, {} {:>9.0f}/cpu s", row.name, measured->sample.per_cpu_s(), kDtlsEcho,
                  bare->sample.per_cpu_s()));
  if (beside.dtls_row != nullptr) keep(*beside.dtls_row, std::move(*bare));
  if (beside.udp != nullptr && beside.udp_row != nullptr) {
    auto plain = measure(*beside.udp, echo(whole(load.request_datagram_bytes), whole(load.answer_datagram_bytes)),
                         options.requests, options.in_flight);
    if (!plain) return base::Error{"bare UDP echo: " + plain.error().message};
    keep(*beside.udp_row, std::move(*plain));
  }
  keep(row, std::move(*measured));
  return {};
}

}  // namespace dots::bench
