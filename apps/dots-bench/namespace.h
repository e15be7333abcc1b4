// A network namespace for the calling thread and the processes that it starts, so that rules of a packet filter touch
// nothing else.
#pragma once

#include <memory>

#include "base/result.h"
#include "dots-bench/descriptor.h"

namespace dots::bench {

class OwnNetwork {
 public:
  // With a loopback that works. The Error says why not: it needs root.
  static base::Result<std::unique_ptr<OwnNetwork>> enter();
  ~OwnNetwork();  // back again
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;

 private:
  explicit OwnNetwork(Descriptor before) : before_(std::move(before)) {}
  Descriptor before_;
};

}  // namespace dots::bench
