#include "adapters/mitigators/kept_file.h"

#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "adapters/mitigators/rule_json.h"
#include "adapters/store/state_dir.h"

namespace dots::adapters::mitigators {

base::Result<std::optional<boost::json::object>> KeptFile::read() const {
  std::ifstream in(folder_ + "/" + name_, std::ios::binary);
  if (!in) {
    if (errno == ENOENT) return std::optional<boost::json::object>{};
    return base::Error{"cannot read " + folder_ + "/" + name_ + ": " + std::strerror(errno)};
  }
  std::ostringstream text;
  text << in.rdbuf();
  auto object = parse_object(text.str());
  if (!object) return damaged(object.error().message);
  return std::optional<boost::json::object>(std::move(*object));
}

base::Result<void> KeptFile::write(const boost::json::object& content) const {
  return store::write_durably(folder_, name_, boost::json::serialize(content) + "\n");
}

base::Error KeptFile::damaged(const std::string& why) const {
  return base::Error{folder_ + "/" + name_ + " is damaged (" + why +
                     "); compare with what the other side has, then move the file away"};
}

}  // namespace dots::adapters::mitigators
