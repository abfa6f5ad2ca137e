//! The check value of the vault.

use sqlx::SqliteConnection;

/// The check value, if any key was ever given.
pub async fn check_value(db: &mut SqliteConnection) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("SELECT check_value FROM vault WHERE id = 1").fetch_optional(db).await
}

/// Writes the check value, of which there is none yet.
pub async fn insert_check_value(db: &mut SqliteConnection, sealed: &[u8]) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO vault (id, check_value) VALUES (1, ?)").bind(sealed).execute(db).await.map(drop)
}

/// Whether anything is sealed.
pub async fn is_in_use(db: &mut SqliteConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM configurations WHERE protection_sealed IS NOT NULL)
         OR EXISTS (SELECT 1 FROM asset_keys WHERE sealed IS NOT NULL)
         OR EXISTS (SELECT 1 FROM endpoints WHERE protection_sealed IS NOT NULL)
         OR EXISTS (SELECT 1 FROM endpoint_keys WHERE sealed IS NOT NULL)",
    )
    .fetch_one(db)
    .await
}
