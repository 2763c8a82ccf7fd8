import type { Readings } from './reading.ts'

/** Which program it is, and for how long it has been running: the same names whatever it does. */
export function registerProgram(readings: Readings, version: string): void {
  readings.gauge('openedge_build_info', 'The version of the program.', () => [{ labels: { version }, value: 1 }])
  readings.gauge('openedge_uptime_seconds', 'Time since the process started.', () => process.uptime())
}
