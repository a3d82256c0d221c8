/** How near the map is seen: its limits, and what "everything" means (never larger than life). */
export const ZOOM = { min: 0.1, max: 2 } as const
export const FIT = { padding: 0.15, maxZoom: 1 } as const
