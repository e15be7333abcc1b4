// Answers -> bytes of a connection (RFC 9112), piece by piece. No socket, no clock.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "ports/http.h"

namespace dots::adapters::http {

class AnswerWriter {
 public:
  // `head_only`: to HEAD. Text that cannot stand in a header is made harmless.
  AnswerWriter(ports::HttpAnswer answer, bool head_only, bool keep_alive, base::WallTime now);
  ~AnswerWriter();

  // At most `bytes`; empty at the end.
  std::string next(std::size_t bytes);
  bool done() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7)
std::string http_date(base::WallTime at);

}  // namespace dots::adapters::http
