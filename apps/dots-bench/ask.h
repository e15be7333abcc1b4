// One request and its answer, outside of any load.
#pragma once

#include <functional>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "dots-bench/lane.h"

namespace dots::bench {

// Sends the message and waits for a response with its token; other messages are passed over.
base::Result<base::Bytes> ask(Lane& lane, base::ByteView message, base::Duration patience = std::chrono::seconds{10});

}  // namespace dots::bench
