export { filterMatches } from './matches.ts'
export { SubscriptionTree } from './subscription-tree.ts'
export { TopicTree } from './topic-tree.ts'
