export { Backoff, type BackoffOptions } from './backoff.ts'
export { DURATION_PATTERN, formatDuration, nanosToMs, parseDuration } from './duration.ts'
export { type ErrorCode, GatewayError, messageOf, systemCodeOf } from './errors.ts'
export { type Service, ServiceGroup } from './lifecycle.ts'
export { type Logger, type LogMethod, silentLogger } from './logger.ts'
export { nearestWithin, nearestWord } from './nearest-word.ts'
export { formatSize, parseSize, SIZE_PATTERN } from './size.ts'
export {
  DEFAULT_TOPIC_LIMITS,
  startsWithDollar,
  type TopicLimits,
  topicFilterProblem,
  topicNameProblem,
} from './topic.ts'
