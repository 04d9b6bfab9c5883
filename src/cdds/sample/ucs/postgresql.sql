-- A UCS database (contact history) in PostgreSQL, in the canonical spelling of its names.
--
-- Instants are without a time zone, in UTC. Names are quoted, or PostgreSQL would make them lower
-- case. Try it by hand:  psql -f postgresql.sql

-- What was said, once for each interaction. ALLATTRIBUTES holds JSON in UTF-8.
create table "Interaction" (
    "ID" text primary key,
    "STATUS" integer not null,
    "ENTITYTYPEID" integer not null,
    "MEDIATYPEID" text not null,
    "TYPEID" text not null,
    "SUBTYPEID" text,
    "EXTERNALID" text,
    "OWNERID" integer,
    "CONTACTID" text,
    "PARENTID" text,
    "STARTDATE" timestamp without time zone not null,
    "MODIFIEDDATE" timestamp without time zone,
    "ENDDATE" timestamp without time zone,
    "THREADID" text,
    "CATEGORYID" text,
    "TIMESHIFT" integer,
    "SUBJECT" text,
    "TEXT" text,
    "STRUCTUREDTEXT" text,
    "STRUCTTEXTMIMETYPE" text,
    "THECOMMENT" text,
    "TENANTID" integer not null,
    "SUBTENANTID" integer,
    "THREADHASH" integer,
    "CANBEPARENT" boolean not null,
    "CREATORAPPID" integer not null,
    "QUEUENAME" text,
    "ALLATTRIBUTES" bytea,
    "STRATTRIBUTE1" text,
    "STRATTRIBUTE2" text,
    "STRATTRIBUTE3" text,
    "STRATTRIBUTE4" text,
    "STRATTRIBUTE5" text,
    "STRATTRIBUTE6" text,
    "STRATTRIBUTE7" text,
    "STRATTRIBUTE8" text,
    "STRATTRIBUTE9" text,
    "STRATTRIBUTE10" text,
    "INTATTRIBUTE1" integer,
    "INTATTRIBUTE2" integer,
    "INTATTRIBUTE3" integer,
    "INTATTRIBUTE4" integer,
    "INTATTRIBUTE5" integer,
    "ISSPAM" boolean,
    "WEBSAFEEMAILSTATUS" text,
    "ISCATEGORYAPPROVED" boolean,
    "STOPPEDREASON" text,
    "LANG" text,
    "SUBSCRIBERID" text
);

-- What an interaction has beyond that, in the table of its ENTITYTYPEID, under the same key.
-- 0: a mail that came in.
create table "EmailIn" (
    "ID" text primary key,
    "FROMADDRESS" text,
    "FROMPERSONAL" text,
    "REPLYTOADDRESS" text,
    "TOADDRESSES" text,
    "CCADDRESSES" text,
    "BCCADDRESSES" text,
    "SENTDATE" timestamp without time zone,
    "MAILBOX" text,
    "WHICHRULEMATCHED" text,
    "EMAILOUTID" text,
    "HEADER" bytea
);

-- 1: a mail that went out; its header is in its original document.
create table "EmailOut" (
    "ID" text primary key,
    "FROMADDRESS" text,
    "FROMPERSONAL" text,
    "REPLYTOADDRESS" text,
    "TOADDRESSES" text,
    "CCADDRESSES" text,
    "BCCADDRESSES" text,
    "SENTDATE" timestamp without time zone,
    "FORWARD" boolean,
    "REFERENCEID" text,
    "REVIEWERID" integer,
    "STANDARDRESPONSEID" text
);

-- 2: a chat; its transcript is the STRUCTUREDTEXT of the interaction.
create table "Chat" (
    "ID" text primary key,
    "ESTABLISHEDDATE" timestamp without time zone,
    "RELEASEDDATE" timestamp without time zone
);

-- 3: a call.
create table "PhoneCall" (
    "ID" text primary key,
    "DURATION" integer,
    "OUTCOME" text,
    "PHONENUMBER" text,
    "TCONNECTIONID" text
);

-- 5: a callback.
create table "Callback" (
    "ID" text primary key,
    "CALLBACKSTATUS" integer,
    "DETAILEDDESCRIPTION" text,
    "CUSTOMDATA" text,
    "DESIREDRESPONSETYPE" integer,
    "STARTTIME" timestamp without time zone,
    "ENDTIME" timestamp without time zone,
    "CUSTOMERNUMBER" text,
    "ATTEMPTS" integer,
    "DN" text,
    "LOCATION" text,
    "CALLBACKSERVERID" text,
    "CALLRESULT" integer,
    "THETYPE" integer
);

-- 6: a co-browsing session. 7, open media, has no table.
create table "CoBrowse" (
    "ID" text primary key
);

-- Files. The one under the key of an interaction is its original document, such as the whole mail.
create table "Document" (
    "ID" text primary key,
    "MIMETYPE" text,
    "THENAME" text,
    "DESCRIPTION" text,
    "THESIZE" bigint,
    "CONTENT" bytea
);

-- Which other files hang on an interaction.
create table "Attachment" (
    "DOCUMENTID" text not null,
    "ENTITYID" text not null,
    "ENTITYTYPEID" integer not null,
    primary key ("ENTITYID", "DOCUMENTID")
);

-- Who got in touch. DATEATTRIBUTE1 to 3 are milliseconds since 1970.
create table "Contact" (
    "CONTACTID" text primary key,
    "TENANTID" integer,
    "SUBTENANTID" integer,
    "ISEXTERNALRESOURCE" boolean,
    "STRATTRIBUTE1" text,
    "STRATTRIBUTE2" text,
    "STRATTRIBUTE3" text,
    "STRATTRIBUTE4" text,
    "STRATTRIBUTE5" text,
    "STRATTRIBUTE6" text,
    "STRATTRIBUTE7" text,
    "STRATTRIBUTE8" text,
    "STRATTRIBUTE9" text,
    "STRATTRIBUTE10" text,
    "DATEATTRIBUTE1" bigint,
    "DATEATTRIBUTE2" bigint,
    "DATEATTRIBUTE3" bigint,
    "CREATEDDATE" timestamp without time zone,
    "MODIFIEDDATE" timestamp without time zone,
    "MERGEID" text,
    "SUBSCRIBERID" text
);

-- One value of one attribute of a contact.
create table "ContactAttribute" (
    "ID" text primary key,
    "CONTACTID" text not null,
    "ATTRIBUTEID" text,
    "ATTRIBUTENAME" text,
    "MIMETYPE" text,
    "STRVALUE" text,
    "STRVALUELOWERCASE" text,
    "BINVALUE" bytea,
    "DATEVALUE" timestamp without time zone,
    "DESCRIPTION" text,
    "ISPRIMARY" boolean,
    "TENANTID" integer,
    "SUBTENANTID" integer
);

-- Keys and indexes, after the rows where there are many.
alter table "EmailIn" add foreign key ("ID") references "Interaction" ("ID");
alter table "EmailOut" add foreign key ("ID") references "Interaction" ("ID");
alter table "Chat" add foreign key ("ID") references "Interaction" ("ID");
alter table "PhoneCall" add foreign key ("ID") references "Interaction" ("ID");
alter table "Callback" add foreign key ("ID") references "Interaction" ("ID");
alter table "CoBrowse" add foreign key ("ID") references "Interaction" ("ID");
alter table "Attachment" add foreign key ("DOCUMENTID") references "Document" ("ID");
alter table "Attachment" add foreign key ("ENTITYID") references "Interaction" ("ID");
alter table "ContactAttribute" add foreign key ("CONTACTID") references "Contact" ("CONTACTID");

create index interaction_startdate on "Interaction" ("STARTDATE");
create index interaction_mediatypeid_startdate on "Interaction" ("MEDIATYPEID", "STARTDATE");
create index interaction_contactid on "Interaction" ("CONTACTID");
create index attachment_documentid on "Attachment" ("DOCUMENTID");
create index contact_modifieddate on "Contact" ("MODIFIEDDATE");
create index contactattribute_contactid on "ContactAttribute" ("CONTACTID");

-- What the planner should know of them.
analyze "Interaction", "EmailIn", "EmailOut", "Chat", "PhoneCall", "Callback", "CoBrowse",
    "Document", "Attachment", "Contact", "ContactAttribute";
