// What everybody on a stage shares: time, names, and the place where a play fails.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/ip.h"
#include "ports/resolver.h"
#include "tests/plays/peer.h"
#include "tests/plays/play.h"
#include "tests/plays/words.h"
#include "tests/world/timeline.h"

namespace dots::plays {

inline constexpr base::Duration kLatency = std::chrono::milliseconds{5};
inline constexpr base::Duration kPatience = std::chrono::seconds{4};  // how long an answer may take

class Scene {
 public:
  explicit Scene(const Play& play) : file_(play.file) {}

  void begin(const Line& line);
  void fail(const std::string& text);  // the first one counts
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }

  world::Timeline& timeline() { return timeline_; }
  world::WallClock& clock() { return clock_; }
  void pass(base::Duration time);

  void declare_name(const Words& words);
  ports::Resolution resolve(const std::string& name) const;

  // NAME receives CODE... | NAME is notified CODE...; `words` begin with the code.
  void expect_answer(Inbox& inbox, Words words, const Line& line, bool notification);
  // NAME receives METHOD PATH [option...] [within N s] {JSON}; what came, when it is as expected.
  std::optional<Inbox::Asked> expect_request(Inbox& inbox, Words words, const Line& line);
  // NAME receives nothing [within N s] | NAME receives no PUT hb [within N s]
  void expect_nothing(Inbox& inbox, Words words);
  // NAME is joined [within N s]: a session has opened since the play last did something, or opens now.
  void expect_session(const Inbox& inbox, Words words);
  // Fails when there is something that the play does not speak of.
  void expect_empty(const std::string& name, const Inbox& inbox);

 private:
  std::optional<base::Duration> patience(Words& words);
  template <class Ready>
  void wait_for(base::Duration time, Ready&& ready);
  void compare(const Line& line, const base::Result<std::string>& body, const std::string& came);

  std::string file_;
  int line_ = 0;
  std::string failure_;
  world::Timeline timeline_;
  world::WallClock clock_;
  base::SteadyTime acted_;  // when the last line began that does something
  std::map<std::string, std::vector<model::IpAddress>> names_;
};

// "an answer 2.05 about PATH {...}"
std::string text_of(const Inbox::Answer& answer);

}  // namespace dots::plays
