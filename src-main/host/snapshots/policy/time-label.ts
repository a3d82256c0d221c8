/** "Auto 2026-11-21 14:35", by the clock on the wall: what snapshots are called that nobody named. */
export function timeLabel(what: string, time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  return `${what} ${day} ${two(time.getHours())}:${two(time.getMinutes())}`
}
