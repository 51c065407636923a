CREATE TABLE price (
    item VARCHAR(20) PRIMARY KEY,
    cents INTEGER NOT NULL
);

-- one row for each time that this script ran
CREATE TABLE seeded (
    at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

INSERT INTO seeded DEFAULT VALUES;
INSERT INTO price VALUES ('bread', 320);
INSERT INTO price VALUES ('butter; salted', 290);
