// The process of a delay line: delay-line-main.ts TARGET-PORT MILLISECONDS PORT
import { DelayLine } from './delay-line.ts'

const [targetPort, delayMs, port] = process.argv.slice(2).map(Number) as [number, number, number]
await DelayLine.open(targetPort, delayMs, port)
