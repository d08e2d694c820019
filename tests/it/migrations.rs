//! Each migration is tried on a database that is not empty: its predecessors' data files are loaded.

use std::path::PathBuf;

use iofold::store::{Db, migrator};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row};

use crate::on_both_databases;
use crate::support::Database;

on_both_databases!(every_migration_runs_on_the_data_of_the_one_before);

async fn every_migration_runs_on_the_data_of_the_one_before(database: Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::connect(&database.url(folder.path()).await)
        .await
        .expect("it opens");
    let all = migrator().migrations;
    for done in 1..=all.len() {
        let migrator = Migrator {
            migrations: all[..done].to_vec().into(),
            ..migrator()
        };
        migrator.run(db.pool()).await.expect("it applies");
        let data = data_file(all[done - 1].version);
        sqlx::raw_sql(AssertSqlSafe(data))
            .execute(db.pool())
            .await
            .expect("its data file loads");
    }
    assert_no_table_is_empty(&db).await;
}

fn data_file(version: i64) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/it/migrations/{version:04}.sql"));
    std::fs::read_to_string(&path).unwrap_or_else(|_| {
        panic!(
            "{} is missing: it gives each new table a row",
            path.display()
        )
    })
}

async fn assert_no_table_is_empty(db: &Db) {
    let migrations = migrator().migrations;
    let lines = migrations.iter().flat_map(|one| one.sql.as_str().lines());
    let tables = lines.filter_map(|line| line.strip_prefix("create table "));
    let tables: Vec<&str> = tables
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(tables.len() >= migrations.len(), "{tables:?}");
    for table in tables {
        let count = sqlx::query(AssertSqlSafe(format!(
            "select count(*) as rows_in_it from {table}"
        )))
        .fetch_one(db.pool())
        .await
        .expect("it is a table");
        let count: i64 = count.try_get("rows_in_it").expect("a count");
        assert!(count > 0, "the data files leave {table} empty");
    }
}
